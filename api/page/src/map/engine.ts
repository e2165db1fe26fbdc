/** MapLibre, with its worker as a file of ours: the Content Security Policy lets no other in. */
import { setWorkerUrl } from "maplibre-gl";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?url";
import "maplibre-gl/dist/maplibre-gl.css";

setWorkerUrl(workerUrl);

export { GeolocateControl, LngLatBounds, Map as MapView, NavigationControl, ScaleControl } from "maplibre-gl";
