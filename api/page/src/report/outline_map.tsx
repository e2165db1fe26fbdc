/** The outline of a felling, corrected by drawing; loaded when its step is entered. */
import { useSignal } from "@preact/signals";
import type { Geometry, Polygon } from "geojson";
import { useEffect, useRef } from "preact/hooks";
import { TerraDraw, TerraDrawPolygonMode, TerraDrawSelectMode } from "terra-draw";
import { TerraDrawMapLibreGLAdapter } from "terra-draw-maplibre-gl-adapter";
import { LngLatBounds, MapView } from "../map/engine";
import { baseStyle } from "../map/style";
import { number } from "../words";
import { hectares } from "./area";
import { t } from "./words";

const DIGITS = 9;

export type OutlineProps = { satellite: Geometry; drawn: Geometry | null; onChange: (drawn: Geometry | null) => void };

export default function OutlineMap({ satellite, drawn, onChange }: OutlineProps) {
  const element = useRef<HTMLDivElement>(null);
  const draw = useRef<TerraDraw | null>(null);
  const mode = useSignal<"select" | "polygon">("select");
  const changed = useRef(onChange);
  changed.current = onChange;

  useEffect(() => {
    const map = new MapView({
      container: element.current as HTMLDivElement,
      style: baseStyle(),
      bounds: boundsOf(drawn ?? satellite),
      fitBoundsOptions: { padding: 40, animate: false },
      attributionControl: { compact: true },
    });
    map.on("load", () => {
      map.addSource("satellite", { type: "geojson", data: { type: "Feature", properties: {}, geometry: satellite } });
      map.addLayer({
        id: "satellite",
        type: "line",
        source: "satellite",
        paint: { "line-color": "#b3401f", "line-width": 2, "line-dasharray": [2, 2] },
      });
      const drawing = new TerraDraw({
        adapter: new TerraDrawMapLibreGLAdapter({ map, coordinatePrecision: DIGITS }),
        modes: [
          new TerraDrawPolygonMode(),
          new TerraDrawSelectMode({
            flags: {
              polygon: {
                feature: { draggable: false, coordinates: { midpoints: true, draggable: true, deletable: true } },
              },
            },
          }),
        ],
      });
      draw.current = drawing;
      drawing.start();
      put(drawing, drawn ?? satellite);
      drawing.on("finish", (_, context) => {
        // Of what was drawn anew, the last counts.
        const polygons = polygonsOf(drawing);
        const now = context.action === "draw" ? polygons.slice(-1) : polygons;
        if (context.action === "draw") {
          put(drawing, now[0] as Polygon);
          mode.value = "select";
        }
        changed.current(joined(now));
      });
    });
    return () => map.remove();
  }, []);

  function choose(which: "select" | "polygon"): void {
    mode.value = which;
    draw.current?.setMode(which);
  }

  function reset(): void {
    if (draw.current !== null) put(draw.current, satellite);
    mode.value = "select";
    onChange(null);
  }

  return (
    <div>
      <div class="drawing" ref={element} />
      <div class="tools">
        <button type="button" class="second" aria-pressed={mode.value === "select"} onClick={() => choose("select")}>
          {t().outlineMove}
        </button>
        <button type="button" class="second" aria-pressed={mode.value === "polygon"} onClick={() => choose("polygon")}>
          {t().outlineDraw}
        </button>
        <button type="button" class="second" disabled={drawn === null} onClick={reset}>
          {t().outlineReset}
        </button>
      </div>
      <p aria-live="polite">
        <strong>{t().hectares(number(hectares(drawn ?? satellite), 2))}</strong>{" "}
        {drawn === null ? t().outlineSame : t().outlineKept}
      </p>
    </div>
  );
}

/** Lay an outline in place of what is drawn, ready to be moved. */
function put(drawing: TerraDraw, geometry: Geometry): void {
  drawing.clear();
  const laid = drawing.addFeatures(
    partsOf(geometry).map((part) => ({
      type: "Feature",
      properties: { mode: "polygon" },
      geometry: { type: "Polygon", coordinates: part.coordinates.map((ring) => ring.map((at) => at.map(rounded))) },
    })),
  );
  drawing.setMode("select");
  const first = laid.find((one) => one.valid)?.id;
  if (first !== undefined) drawing.selectFeature(first);
}

function rounded(degrees: number): number {
  return Number(degrees.toFixed(DIGITS));
}

function partsOf(geometry: Geometry): Polygon[] {
  if (geometry.type === "Polygon") return [geometry];
  if (geometry.type !== "MultiPolygon") return [];
  return geometry.coordinates.map((coordinates) => ({ type: "Polygon", coordinates }));
}

function polygonsOf(drawing: TerraDraw): Polygon[] {
  const drawn = drawing.getSnapshot().filter((one) => one.properties.mode === "polygon");
  return drawn.map((one) => one.geometry).filter((one) => one.type === "Polygon");
}

function joined(parts: Polygon[]): Geometry | null {
  const [only] = parts;
  if (only === undefined) return null;
  return parts.length === 1 ? only : { type: "MultiPolygon", coordinates: parts.map((part) => part.coordinates) };
}

function boundsOf(geometry: Geometry): LngLatBounds {
  const bounds = new LngLatBounds();
  for (const part of partsOf(geometry))
    for (const [lon, lat] of part.coordinates.flat()) bounds.extend([lon ?? 0, lat ?? 0]);
  return bounds;
}
