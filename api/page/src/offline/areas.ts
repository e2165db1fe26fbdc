/**
 * Areas taken along: their alerts in the database, their pictures, series and base map in the browser's cache, where the
 * service worker finds them.
 */
import { type Signal, signal } from "@preact/signals";
import type { Feature, FeatureCollection } from "geojson";
import type { AlertFeature } from "../alert/feature";
import { tilesOver } from "../map/basemaps";
import { boxOf } from "../map/box";
import { ask, askJson, ROOT } from "../server/client";
import { kept } from "./database";

export const AREA_CACHE = "sylvigie-areas";
const PAGE_ALERTS = 1000;
const MOST_ALERTS = 5000;
const AT_ONCE = 4;
const CHIP_PX = 512;
/** Bytes of a picture, of a series and a history, of a tile of the base map, on the average: for the size told before. */
const BYTES = { chip: 22_000, text: 4_000, tile: 18_000 };

export type AreaKind = "departement" | "circle" | "mine";
export type Wanted = {
  kind: AreaKind;
  name: string;
  /** Of the service's items: `departement=40`, `bbox=...`, `review=assigned`. */
  query: string;
  /** Of a circle: longitude, latitude, kilometres. */
  circle?: [number, number, number];
  withMap: boolean;
};
export type AreaRecord = Wanted & {
  id: string;
  takenAt: string;
  state: "taking" | "stopped" | "ready";
  alerts: number;
  /** Addresses of pictures, series, histories, tiles: all, and how many are here. */
  files: number;
  here: number;
  bytes: number;
};
export type KeptAlert = { id: string; areas: string[]; feature: Feature };
export type Plan = { features: AlertFeature[]; addresses: string[]; bytes: number };

/** All areas, in step with the database. */
export const areas: Signal<AreaRecord[]> = signal([]);

const running = new Map<string, AbortController>();

export async function lookAtAreas(): Promise<void> {
  areas.value = await kept((db) => db.getAll("areas"));
}

/** What an area would bring along; nothing is kept yet. Throws `NotReached`, `Refused`. */
export async function planOf(wanted: Wanted): Promise<Plan> {
  const features: AlertFeature[] = [];
  let next: string | null = `${ROOT}/collections/alerts/items?${wanted.query}&limit=${PAGE_ALERTS}`;
  while (next !== null && features.length < MOST_ALERTS) {
    const page: { features: AlertFeature[]; links: { rel: string; href: string }[] } = await askJson(next);
    features.push(...page.features);
    const link = page.links.find((one) => one.rel === "next");
    // The service may be reached by another name than it knows of.
    next = link === undefined ? null : new URL(link.href).pathname + new URL(link.href).search;
  }
  const inside =
    wanted.circle === undefined
      ? features
      : features.filter((one) => isWithin(one, wanted.circle as [number, number, number]));
  const files = inside.flatMap(({ id }) => addressesOf(id));
  const tiles = wanted.withMap ? [...new Set(inside.flatMap((one) => tilesOver(boxOf(one))))] : [];
  const bytes = inside.length * (4 * BYTES.chip + 2 * BYTES.text) + tiles.length * BYTES.tile;
  return { features: inside, addresses: [...files, ...tiles], bytes };
}

/** Addresses of an alert's pictures and texts, as its room asks for them. */
export function addressesOf(id: string): string[] {
  const root = `${ROOT}/alerts/${encodeURIComponent(id)}`;
  const chips = ["before", "after"].flatMap((moment) =>
    ["true_colour", "ndvi"].map((kind) => chipAddress(id, moment, kind)),
  );
  return [...chips, `${root}/series`, `${root}/history`];
}

export function chipAddress(id: string, moment: string, kind: string): string {
  return `${ROOT}/alerts/${encodeURIComponent(id)}/chips/${moment}.webp?kind=${kind}&size=${CHIP_PX}`;
}

/** Take an area along: its alerts first, at once; then its pictures, one by one, from where it was stopped. */
export async function takeAlong(wanted: Wanted, plan: Plan, id: string = crypto.randomUUID()): Promise<void> {
  const area: AreaRecord = {
    ...wanted,
    id,
    takenAt: new Date().toISOString(),
    state: "taking",
    alerts: plan.features.length,
    files: plan.addresses.length,
    here: 0,
    bytes: 0,
  };
  await kept(async (db) => {
    const transaction = db.transaction(["areas", "alerts"], "readwrite");
    const alerts = transaction.objectStore("alerts");
    for (const feature of plan.features) {
      const before = await alerts.get(feature.id);
      const of = new Set([...(before?.areas ?? []), id]);
      void alerts.put({ id: feature.id, areas: [...of], feature });
    }
    void transaction.objectStore("areas").put(area);
    await transaction.done;
  });
  await lookAtAreas();
  await bring(area, plan.addresses);
}

async function bring(area: AreaRecord, addresses: readonly string[]): Promise<void> {
  const stop = new AbortController();
  running.set(area.id, stop);
  const cache = await caches.open(AREA_CACHE);
  const left = [...addresses];
  const now = { ...area, state: "taking" as AreaRecord["state"], here: 0, bytes: 0 };
  let shownAt = 0;
  async function one(): Promise<void> {
    for (let address = left.shift(); address !== undefined; address = left.shift()) {
      if (stop.signal.aborted) return;
      now.bytes += await bringOne(cache, address, stop.signal);
      now.here += 1;
      if (Date.now() - shownAt > 250) {
        shownAt = Date.now();
        areas.value = areas.value.map((each) => (each.id === area.id ? { ...now } : each));
      }
    }
  }
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    now.state = stop.signal.aborted ? "stopped" : "ready";
  } catch (error) {
    now.state = "stopped";
    throw error;
  } finally {
    running.delete(area.id);
    await kept((db) => db.put("areas", now));
    await lookAtAreas();
  }
}

/** Bring one file; bytes. What there is none of (a picture that no date shows) is no fault. */
async function bringOne(cache: Cache, address: string, signal: AbortSignal): Promise<number> {
  const had = await cache.match(address);
  if (had !== undefined) return Number(had.headers.get("Content-Length") ?? 0);
  const away = !address.startsWith("/");
  const response = away
    ? await fetch(address, { signal, mode: "cors" })
    : await ask(address, { signal, headers: { Accept: "*/*" } }).catch((error: { status?: number }) => {
        if (error.status === 404) return null;
        throw error;
      });
  if (response === null || !response.ok) return 0;
  const body = await response.blob();
  const headers = { "Content-Type": response.headers.get("Content-Type") ?? "", "Content-Length": String(body.size) };
  await cache.put(address, new Response(body, { headers }));
  return body.size;
}

export function stopTaking(id: string): void {
  running.get(id)?.abort();
}

/** Leave an area behind: its alerts and pictures that no other area needs. */
export async function leaveBehind(id: string): Promise<void> {
  stopTaking(id);
  const gone: string[] = [];
  await kept(async (db) => {
    const transaction = db.transaction(["areas", "alerts"], "readwrite");
    const alerts = transaction.objectStore("alerts");
    for (const alert of await alerts.index("area").getAll(id)) {
      const others = alert.areas.filter((one) => one !== id);
      if (others.length > 0) void alerts.put({ ...alert, areas: others });
      else {
        gone.push(alert.id);
        void alerts.delete(alert.id);
      }
    }
    void transaction.objectStore("areas").delete(id);
    await transaction.done;
  });
  const cache = await caches.open(AREA_CACHE);
  for (const address of gone.flatMap(addressesOf)) await cache.delete(address);
  await lookAtAreas();
}

/** All alerts that were taken along. */
export async function offlineAlerts(): Promise<FeatureCollection> {
  const alerts = await kept((db) => db.getAll("alerts"));
  return { type: "FeatureCollection", features: alerts.map((alert) => alert.feature) };
}

/** One alert that was taken along; null where it was not. */
export async function offlineAlert(id: string): Promise<AlertFeature | null> {
  return ((await kept((db) => db.get("alerts", id)))?.feature as AlertFeature | undefined) ?? null;
}

const KM_A_DEGREE = 111.2;

/** A box around a circle, as `bbox` has it. */
export function boxAround([lon, lat, km]: [number, number, number]): string {
  const high = km / KM_A_DEGREE;
  const wide = high / Math.cos((lat * Math.PI) / 180);
  return [lon - wide, lat - high, lon + wide, lat + high].map((side) => side.toFixed(5)).join(",");
}

function isWithin(feature: Feature, [lon, lat, km]: [number, number, number]): boolean {
  const [west, south, east, north] = boxOf(feature);
  const apart = Math.hypot(((west + east) / 2 - lon) * Math.cos((lat * Math.PI) / 180), (south + north) / 2 - lat);
  return apart * KM_A_DEGREE <= km;
}
