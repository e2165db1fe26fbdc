/** What the map shows: IGN's maps, alerts as counts from afar and as outlines from near, those taken along. */
import type { FeatureCollection } from "geojson";
import type {
  ExpressionSpecification,
  GeoJSONSource,
  LayerSpecification,
  Map as MapView,
  VectorTileSource,
} from "maplibre-gl";
import { ROOT } from "../server/client";
import { language } from "../words";
import { type BaseLayer, tileAddress } from "./basemaps";
import { type Filters, queryOf } from "./filters";
import { COLOUR } from "./level";

const ALERTS = "alerts";
const TAKEN = "taken";
/** Zoom from which the service's tiles hold outlines. */
export const OUTLINES_FROM = 12;
const MOST_TILE_ZOOM = 15;
const NUMBER_FONT = ["sans-serif"];
/** Layers that a click asks. */
export const OUTLINE_LAYERS = ["outline-fill", "taken-fill"];
export const COUNT_LAYERS = ["cells", "taken-cells"];

/** Addresses of the alerts' tiles, filtered as the list is. */
export function tilesOf(filters: Filters): string[] {
  const query = queryOf(filters, ["sortby"]).toString();
  // Tiles are asked for by a worker, which knows no relative address.
  return [`${location.origin}${ROOT}/tiles/alerts/{z}/{x}/{y}.mvt${query === "" ? "" : `?${query}`}`];
}

/** Lay the alerts on the map. */
export function addAlerts(map: MapView, filters: Filters): void {
  map.addSource(ALERTS, { type: "vector", tiles: tilesOf(filters), minzoom: 0, maxzoom: MOST_TILE_ZOOM });
  map.addSource(TAKEN, {
    type: "geojson",
    data: empty(),
    cluster: true,
    clusterMaxZoom: OUTLINES_FROM - 1,
    clusterRadius: 40,
  });
  const cells = { source: ALERTS, "source-layer": "cells" };
  const outlines = { source: ALERTS, "source-layer": ALERTS };
  const layers: LayerSpecification[] = [
    ...counts("cells", cells, "alerts"),
    ...shapes("outline", outlines),
    ...counts("taken-cells", { source: TAKEN, filter: ["has", "point_count"] }, "point_count"),
    ...shapes("taken", { source: TAKEN, filter: ["!", ["has", "point_count"]] }),
    {
      id: "selected",
      type: "line",
      ...outlines,
      filter: ["==", ["get", "id"], ""],
      paint: { "line-color": "#ffd400", "line-width": 5 },
    },
  ];
  for (const layer of layers) map.addLayer(layer);
}

type Of = { source: string; "source-layer"?: string; filter?: ["has", string] | ["!", ["has", string]] };

function counts(id: string, of: Of, field: string): LayerSpecification[] {
  return [
    {
      id,
      type: "circle",
      ...of,
      paint: {
        "circle-color": "#1f4d36",
        "circle-opacity": 0.85,
        "circle-stroke-color": "#fff",
        "circle-stroke-width": 1.5,
        "circle-radius": ["interpolate", ["linear"], ["ln", ["get", field]], 0, 9, 3, 14, 7, 22, 11, 30],
      },
    },
    {
      id: `${id}-numbers`,
      type: "symbol",
      ...of,
      layout: {
        "text-field": ["to-string", ["get", field]],
        "text-font": NUMBER_FONT,
        "text-size": 12,
        "text-allow-overlap": true,
      },
      paint: { "text-color": "#fff" },
    },
  ];
}

/** Outlines: colour for the level, a broken line for what is still to be confirmed. */
function shapes(id: string, of: Of): LayerSpecification[] {
  const provisional: ExpressionSpecification = ["==", ["get", "state"], "provisional"];
  const also: ExpressionSpecification[] = of.filter === undefined ? [] : [of.filter];
  return [
    { id: `${id}-fill`, type: "fill", ...of, paint: { "fill-color": COLOUR, "fill-opacity": 0.3 } },
    {
      id: `${id}-line`,
      type: "line",
      ...of,
      filter: ["all", ...also, ["!", provisional]],
      paint: { "line-color": COLOUR, "line-width": 2.5 },
    },
    {
      id: `${id}-broken`,
      type: "line",
      ...of,
      filter: ["all", ...also, provisional],
      paint: { "line-color": COLOUR, "line-width": 2.5, "line-dasharray": [2, 1.5] },
    },
  ];
}

/** Show the alerts that other filters ask for. */
export function filterAlerts(map: MapView, filters: Filters): void {
  map.getSource<VectorTileSource>(ALERTS)?.setTiles(tilesOf(filters));
}

/** Show alerts that were taken along, in place of the service's. */
export function showTaken(map: MapView, taken: FeatureCollection): void {
  map.getSource<GeoJSONSource>(TAKEN)?.setData(taken);
}

export function empty(): FeatureCollection {
  return { type: "FeatureCollection", features: [] };
}

/** Mark an alert; null marks none. */
export function select(map: MapView, id: string | null): void {
  map.setFilter("selected", ["==", ["get", "id"], id ?? ""]);
}

/** Lay one of IGN's maps under the alerts (or over the ground, beneath them), or take it away. */
export function showGround(map: MapView, url: string, attribution: string, layer: BaseLayer, shown: boolean): void {
  const id = `ground-${layer.id}`;
  const there = map.getLayer(id) !== undefined;
  if (there === shown) return;
  if (!shown) {
    map.removeLayer(id);
    map.removeSource(id);
    return;
  }
  map.addSource(id, {
    type: "raster",
    tiles: [tileAddress(url, layer)],
    tileSize: 256,
    maxzoom: layer.max_zoom,
    attribution,
  });
  const paint = layer.kind === "overlay" ? { "raster-opacity": 0.6 } : {};
  // Base maps lie lowest, then what is laid on top of them, then the alerts.
  const above = layer.kind === "base" ? firstOf(map, "ground-") : undefined;
  map.addLayer({ id, type: "raster", source: id, paint }, above ?? "cells");
}

function firstOf(map: MapView, prefix: string): string | undefined {
  return map.getStyle().layers.find((layer) => layer.id.startsWith(prefix))?.id;
}

export function nameOf(layer: BaseLayer): string {
  return language.value === "fr" ? layer.fr : layer.en;
}
