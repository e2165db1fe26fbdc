/** Ways to go to an alert: its middle, a `geo:` link, a way-point for a GPS. */

import { boxOf } from "../map/box";
import type { AlertFeature } from "./feature";

/** A place within the box of an alert: longitude, latitude. */
export function middleOf(feature: AlertFeature): [number, number] {
  const [west, south, east, north] = boxOf(feature);
  return [(west + east) / 2, (south + north) / 2];
}

/** RFC 5870: every navigation application of a phone takes it. */
export function geoLink([lon, lat]: [number, number], name: string): string {
  const at = `${lat.toFixed(6)},${lon.toFixed(6)}`;
  return `geo:${at}?q=${at}(${encodeURIComponent(name)})`;
}

/** GPX 1.1 with one way-point. */
export function gpxOf([lon, lat]: [number, number], name: string, told: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.1" creator="Sylvigie" xmlns="http://www.topografix.com/GPX/1/1"><wpt lat="${lat.toFixed(6)}" lon="${lon.toFixed(6)}"><name>${escaped(name)}</name><desc>${escaped(told)}</desc></wpt></gpx>
`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
