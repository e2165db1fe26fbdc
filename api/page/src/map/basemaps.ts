/** Maps to lie under the alerts, from the service's settings: IGN's by default, none where there is no network. */
import { signal } from "@preact/signals";
import { askJson, type Schemas } from "../server/client";

export type PageSettings = Schemas["PageSettings"];
export type BaseLayer = NonNullable<PageSettings["basemap"]>["layers"][number];

/** What the service told of itself; null until it has. */
export const settings = signal<PageSettings | null>(null);
const KEPT = "sylvigie.page";

export async function loadSettings(): Promise<void> {
  try {
    settings.value = await askJson<PageSettings>("page");
    localStorage.setItem(KEPT, JSON.stringify(settings.value));
  } catch {
    const kept = localStorage.getItem(KEPT);
    settings.value = kept === null ? null : (JSON.parse(kept) as PageSettings);
  }
}

/** The address of a layer's tiles, with `{z}`, `{x}`, `{y}` (WMTS in key-value form). */
export function tileAddress(url: string, layer: BaseLayer): string {
  const asked = {
    SERVICE: "WMTS",
    REQUEST: "GetTile",
    VERSION: "1.0.0",
    STYLE: layer.style,
    TILEMATRIXSET: "PM",
    LAYER: layer.layer,
    FORMAT: layer.format,
  };
  const query = Object.entries(asked).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return `${url}?${query.join("&")}&TILEMATRIX={z}&TILEROW={y}&TILECOL={x}`;
}

const TAKEN_ZOOMS = [9, 11, 13, 14];

/** Addresses of the plan's tiles around a box, at the zooms that are taken along. */
export function tilesOver([west, south, east, north]: [number, number, number, number]): string[] {
  const map = settings.value?.basemap;
  const layer = map?.layers.find((one) => one.kind === "base");
  if (!map || layer === undefined) return [];
  const address = tileAddress(map.url, layer);
  return TAKEN_ZOOMS.flatMap((zoom) => {
    const [left, top] = tileAt(west, north, zoom);
    const [right, bottom] = tileAt(east, south, zoom);
    const found = [];
    for (let x = left; x <= right; x++) for (let y = top; y <= bottom; y++) found.push([x, y]);
    return found.map(([x, y]) =>
      address.replace("{z}", String(zoom)).replace("{x}", String(x)).replace("{y}", String(y)),
    );
  });
}

function tileAt(lon: number, lat: number, zoom: number): [number, number] {
  const size = 2 ** zoom;
  const radians = (lat * Math.PI) / 180;
  return [
    Math.floor(((lon + 180) / 360) * size),
    Math.floor(((1 - Math.asinh(Math.tan(radians)) / Math.PI) / 2) * size),
  ];
}
