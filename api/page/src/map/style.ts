/** The ground under the alerts: a plain one that needs no network, and IGN's maps over it where they are to be had. */
import type { StyleSpecification } from "maplibre-gl";

/** A style with nothing but a background: what else there is, is added to it. */
export function baseStyle(): StyleSpecification {
  return {
    version: 8,
    sources: {},
    layers: [{ id: "ground", type: "background", paint: { "background-color": "#eef1e8" } }],
  };
}
