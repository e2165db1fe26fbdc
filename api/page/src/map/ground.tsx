/** Which of IGN's maps lie under the alerts; remembered. */
import { effect, signal } from "@preact/signals";
import { settings } from "./basemaps";
import { nameOf } from "./layers";
import { t } from "./words";

const KEPT = "sylvigie.ground";

type Chosen = { ground: string; overlays: string[] };

function recalled(): Chosen {
  try {
    const { ground, overlays } = JSON.parse(localStorage.getItem(KEPT) ?? "{}") as Partial<Chosen>;
    return { ground: ground ?? "plan", overlays: overlays ?? [] };
  } catch {
    return { ground: "plan", overlays: [] };
  }
}

/** The base map; "none" is plain ground. */
export const ground = signal(recalled().ground);
export const overlays = signal<string[]>(recalled().overlays);

effect(() => localStorage.setItem(KEPT, JSON.stringify({ ground: ground.value, overlays: overlays.value })));

export function GroundChoice() {
  const layers = settings.value?.basemap?.layers ?? [];
  if (layers.length === 0) return null;
  return (
    <details class="ground">
      <summary>{t().ground}</summary>
      <fieldset>
        <legend class="unseen-text">{t().ground}</legend>
        {[
          ...layers.filter((layer) => layer.kind === "base").map((layer) => [layer.id, nameOf(layer)]),
          ["none", t().plain],
        ].map(([id, name]) => (
          <label key={id} class="tick">
            <input
              type="radio"
              name="ground"
              checked={ground.value === id}
              onChange={() => {
                ground.value = id as string;
              }}
            />
            {name}
          </label>
        ))}
      </fieldset>
      <fieldset>
        <legend>{t().overlays}</legend>
        {layers
          .filter((layer) => layer.kind === "overlay")
          .map((layer) => (
            <label key={layer.id} class="tick">
              <input
                type="checkbox"
                checked={overlays.value.includes(layer.id)}
                onChange={(event) => {
                  const others = overlays.value.filter((one) => one !== layer.id);
                  overlays.value = event.currentTarget.checked ? [...others, layer.id] : others;
                }}
              />
              {nameOf(layer)}
            </label>
          ))}
      </fieldset>
    </details>
  );
}
