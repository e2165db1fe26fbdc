/** The map: what is seen of it is told to the list, what is pointed at in the list is marked on it. */
import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { go, place } from "../navigation";
import { offlineAlerts } from "../offline/areas";
import { settings } from "./basemaps";
import type { Box } from "./box";
import { MapView as Engine, GeolocateControl, LngLatBounds, NavigationControl, ScaleControl } from "./engine";
import { filters, tell } from "./filters";
import { GroundChoice, ground, overlays } from "./ground";
import { addAlerts, COUNT_LAYERS, filterAlerts, nameOf, OUTLINE_LAYERS, select, showGround, showTaken } from "./layers";
import { baseStyle } from "./style";
import { onShow, pointed, seen } from "./view";
import { t } from "./words";

/** Metropolitan France, where nothing else is known. */
const FRANCE: Box = [-5.2, 41.3, 9.6, 51.1];

export default function MapRoom() {
  const element = useRef<HTMLDivElement>(null);
  const map = useRef<Engine | null>(null);
  const ready = useSignal(false);
  const problem = useSignal<string | null>(null);

  useEffect(() => {
    try {
      map.current = open(element.current as HTMLDivElement);
    } catch {
      // Without WebGL there is the list, which says all that the map shows.
      problem.value = t().noMap;
      return;
    }
    const view = map.current;
    view.on("load", () => {
      addAlerts(view, filters.peek());
      ready.value = true;
    });
    listen(view, (sentence) => {
      problem.value = sentence;
    });
    return () => {
      seen.value = null;
      view.remove();
      map.current = null;
    };
  }, []);

  useSignalEffect(() => {
    const chosen = filters.value;
    if (ready.value && map.current !== null) filterAlerts(map.current, chosen);
  });
  useSignalEffect(() => {
    const id = pointed.value;
    if (ready.value && map.current !== null) select(map.current, id);
  });
  useSignalEffect(() => {
    const basemap = settings.value?.basemap;
    const chosen = [ground.value, ...overlays.value];
    if (!ready.value || map.current === null || !basemap) return;
    for (const layer of basemap.layers)
      showGround(map.current, basemap.url, basemap.attribution, layer, chosen.includes(layer.id));
  });

  return (
    <div class="map">
      <section ref={element} class="canvas" aria-label={t().mapLabel} />
      <GroundChoice />
      {problem.value === null ? null : (
        <p class="map-problem" role="status">
          {problem.value}
        </p>
      )}
    </div>
  );
}

function open(container: HTMLDivElement): Engine {
  const at = (place.peek().query.get("at") ?? "").split(",").map(Number);
  const [lon, lat, zoom] = at;
  const told = at.length === 3 && at.every(Number.isFinite);
  const extent = (settings.peek()?.extent as Box | null | undefined) ?? FRANCE;
  const view = new Engine({
    container,
    style: baseStyle(),
    attributionControl: { compact: true },
    fadeDuration: 0,
    maxZoom: 19,
    dragRotate: false,
    pitchWithRotate: false,
    ...(told
      ? { center: [lon as number, lat as number], zoom: zoom as number }
      : { bounds: extent, fitBoundsOptions: { padding: 40, maxZoom: 14 } }),
  });
  view.touchZoomRotate.disableRotation();
  view.addControl(new NavigationControl({ showCompass: false }), "top-right");
  view.addControl(
    new GeolocateControl({ positionOptions: { enableHighAccuracy: true }, trackUserLocation: true }),
    "top-right",
  );
  view.addControl(new ScaleControl({}), "bottom-left");
  return view;
}

/** What the map tells of: where it is, what is clicked, what fails. */
function listen(view: Engine, fail: (sentence: string) => void): void {
  const look = () => {
    const bounds = view.getBounds();
    seen.value = [bounds.getWest(), bounds.getSouth(), bounds.getEast(), bounds.getNorth()];
  };
  view.on("load", look);
  view.on("moveend", () => {
    look();
    const { lng, lat } = view.getCenter();
    if (location.pathname === "/") tell("at", `${lng.toFixed(5)},${lat.toFixed(5)},${view.getZoom().toFixed(2)}`);
  });
  view.on("click", COUNT_LAYERS, (event) => {
    view.easeTo({ center: event.lngLat, zoom: Math.min(view.getZoom() + 2, 14) });
  });
  view.on("click", OUTLINE_LAYERS, (event) => {
    const id = event.features?.[0]?.properties.id;
    if (typeof id !== "string") return;
    // The first touch points at it, so that the list shows what it is; the second opens it.
    if (pointed.peek() === id) go(`/alertes/${encodeURIComponent(id)}`);
    else pointed.value = id;
  });
  for (const layer of [...OUTLINE_LAYERS, ...COUNT_LAYERS]) {
    view.on("mouseenter", layer, () => {
      view.getCanvas().style.cursor = "pointer";
    });
    view.on("mouseleave", layer, () => {
      view.getCanvas().style.cursor = "";
    });
  }
  const failed = new Set<string>();
  view.on("error", (event) => {
    const source = (event as unknown as { sourceId?: string }).sourceId ?? "";
    if (failed.has(source)) return;
    failed.add(source);
    if (source === "alerts") {
      void offlineAlerts().then((taken) => {
        if (taken.features.length === 0) return;
        const named = taken.features.map((one) => ({ ...one, properties: { ...one.properties, id: one.id } }));
        showTaken(view, { ...taken, features: named });
      });
      return;
    }
    const layer = settings.peek()?.basemap?.layers.find((one) => `ground-${one.id}` === source);
    if (layer !== undefined) fail(t().groundFailed(nameOf(layer)));
  });
  onShow((box) => view.fitBounds(new LngLatBounds(box), { padding: 60, maxZoom: 15, animate: false }));
}
