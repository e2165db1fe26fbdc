/** What of the ground is seen, and what is asked of it: the map and the list share it. */
import { type Signal, signal } from "@preact/signals";
import type { AlertFeature, AlertProperties } from "../alert/feature";
import { offlineAlerts } from "../offline/areas";
import { askJson, NotReached, ROOT } from "../server/client";
import { type Box, boxOf } from "./box";
import { type Filters, queryOf } from "./filters";

/** West, south, east, north of the map; null where there is no map: then all of the ground counts. */
export const seen: Signal<Box | null> = signal(null);
/** The alert that is pointed at, in the list or on the map. */
export const pointed: Signal<string | null> = signal(null);

export type Listed = {
  features: AlertFeature[];
  /** Where the next ones are; null at the end. */
  next: string | null;
  offline: boolean;
};
type Page = { features: AlertFeature[]; links: { rel: string; href: string }[] };

const PAGE = 50;

/** The first alerts of what is seen. Throws `Refused`. */
export async function listed(box: Box | null, filters: Filters, signal: AbortSignal): Promise<Listed> {
  const query = queryOf(filters);
  if (box !== null) query.set("bbox", box.map((side) => side.toFixed(5)).join(","));
  query.set("limit", String(PAGE));
  try {
    return await pageAt(`${ROOT}/collections/alerts/items?${query}`, signal);
  } catch (error) {
    if (!(error instanceof NotReached)) throw error;
    const taken = (await offlineAlerts()).features as AlertFeature[];
    return { features: taken.filter((one) => meets(one, box)), next: null, offline: true };
  }
}

export async function pageAt(address: string, signal: AbortSignal): Promise<Listed> {
  const page = await askJson<Page>(address, { signal });
  const link = page.links.find((one) => one.rel === "next");
  // The service may be reached by another name than it knows of.
  const next = link === undefined ? null : new URL(link.href).pathname + new URL(link.href).search;
  return { features: page.features, next, offline: false };
}

function meets(feature: AlertFeature, box: Box | null): boolean {
  if (box === null) return true;
  const [west, south, east, north] = boxOf(feature);
  return west <= box[2] && east >= box[0] && south <= box[3] && north >= box[1];
}

/** "Sabres (40)", or null where the place is not known. */
export function placeOf(properties: AlertProperties): string | null {
  if (properties.commune === null) return properties.departement === null ? null : `(${properties.departement})`;
  return properties.departement === null ? properties.commune : `${properties.commune} (${properties.departement})`;
}

let show: (box: Box) => void = () => undefined;

/** How a box is shown: the map tells, once it is there. */
export function onShow(act: (box: Box) => void): void {
  show = act;
}

/** Have the map show some ground. */
export function showBox(box: Box): void {
  show(box);
}
