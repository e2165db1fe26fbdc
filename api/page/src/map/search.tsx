/** Search of a commune or a département; absent where no layer of communes was imported. */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { askJson, Refused, type Schemas } from "../server/client";
import type { Box } from "./box";
import { showBox } from "./view";
import { t } from "./words";

type Place = Schemas["PlaceEntry"];

export function Search() {
  const found = useSignal<Place[]>([]);
  const absent = useSignal(false);
  const timer = useRef<number | undefined>(undefined);

  async function look(text: string): Promise<void> {
    if (text.trim().length < 2) {
      found.value = [];
      return;
    }
    try {
      found.value = await askJson<Place[]>(`places?q=${encodeURIComponent(text.trim())}`);
    } catch (error) {
      absent.value = error instanceof Refused && error.status === 404;
      found.value = [];
    }
  }
  function choose(name: string): void {
    const place = found.value.find((one) => nameOf(one) === name);
    if (place !== undefined) showBox(place.bbox as Box);
  }
  if (absent.value) return null;
  return (
    <label class="search">
      <span class="unseen-text">{t().search}</span>
      <input
        type="search"
        list="places"
        placeholder={t().search}
        autocomplete="off"
        onInput={(event) => {
          const text = event.currentTarget.value;
          choose(text);
          clearTimeout(timer.current);
          timer.current = window.setTimeout(() => void look(text), 250);
        }}
      />
      <datalist id="places">
        {found.value.map((place) => (
          <option key={`${place.kind}-${place.code}`} value={nameOf(place)} />
        ))}
      </datalist>
    </label>
  );
}

function nameOf(place: Place): string {
  return `${place.name} (${place.code})`;
}
