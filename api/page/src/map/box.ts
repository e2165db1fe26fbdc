/** West, south, east, north. */
import type { Feature } from "geojson";

export type Box = [number, number, number, number];

/** The box of a feature's outline. */
export function boxOf(feature: Feature): Box {
  const { geometry } = feature;
  const parts =
    geometry.type === "Polygon" ? [geometry.coordinates] : geometry.type === "MultiPolygon" ? geometry.coordinates : [];
  const all = parts.flat(2);
  const lons = all.map(([lon]) => lon ?? 0);
  const lats = all.map(([, lat]) => lat ?? 0);
  return [Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)];
}
