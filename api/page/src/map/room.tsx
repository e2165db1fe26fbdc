/** The map of alerts and its list; the list is there first, the map when its library has come. */
import { useSignal } from "@preact/signals";
import { lazy, Suspense } from "preact/compat";
import { useEffect } from "preact/hooks";
import { loadSettings } from "./basemaps";
import { FilterForm } from "./filter_form";
import { filters, formOpen, recall } from "./filters";
import { Legend } from "./legend";
import { AlertList } from "./list";
import { Search } from "./search";
import { t } from "./words";
import "./map.css";

const MapRoom = lazy(() => import("./map_view"));

export default function Room() {
  const told = useSignal(false);
  /** On a narrow screen one of both is shown. */
  const side = useSignal<"map" | "list">("map");
  useEffect(() => {
    recall();
    // Where the alerts lie is known before the map opens, so that it opens there.
    void loadSettings().finally(() => {
      told.value = true;
    });
  }, []);
  const chosen = Object.keys(filters.value).length;
  return (
    <div class={`map-room show-${side.value}`}>
      <h1 class="unseen-text">{t().title}</h1>
      <div class="map-side">
        {told.value ? (
          <Suspense fallback={<p class="paper">{t().loading}</p>}>
            <MapRoom />
          </Suspense>
        ) : (
          <p class="paper">{t().loading}</p>
        )}
      </div>
      <div class="list-side">
        <Search />
        <button
          type="button"
          class="second"
          aria-expanded={formOpen.value}
          onClick={() => {
            formOpen.value = !formOpen.value;
          }}
        >
          {t().filters}
          {chosen > 0 ? ` (${chosen})` : ""}
        </button>
        {formOpen.value ? <FilterForm /> : null}
        <AlertList />
        <Legend />
      </div>
      <div class="sides">
        {(["map", "list"] as const).map((each) => (
          <button
            key={each}
            type="button"
            class={side.value === each ? "" : "second"}
            aria-pressed={side.value === each}
            onClick={() => {
              side.value = each;
            }}
          >
            {t()[each]}
          </button>
        ))}
      </div>
    </div>
  );
}
