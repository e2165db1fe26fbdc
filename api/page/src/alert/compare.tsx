/** Before and after, one over the other, with a slider that fingers, mice and keys move. */
import { useSignal } from "@preact/signals";
import { chipAddress } from "../offline/areas";
import { t } from "./words";

type Kind = "true_colour" | "ndvi";

export function Compare({ id, eager = false }: { id: string; eager?: boolean }) {
  const kind = useSignal<Kind>("true_colour");
  const share = useSignal(50);
  const missing = useSignal<string[]>([]);
  const loading = eager ? "eager" : "lazy";

  function picture(moment: "before" | "after") {
    if (missing.value.includes(moment)) return <p class="no-picture">{t().noPicture}</p>;
    return (
      <img
        src={chipAddress(id, moment, kind.value)}
        alt={`${t()[moment]}, ${t().kind[kind.value]}`}
        width={512}
        height={512}
        loading={loading}
        onError={() => {
          missing.value = [...missing.value, moment];
        }}
      />
    );
  }

  return (
    <figure class="compare">
      <div class="pair">
        {picture("after")}
        <div class="over" style={{ clipPath: `inset(0 ${100 - share.value}% 0 0)` }}>
          {picture("before")}
        </div>
        <span class="edge" style={{ left: `${share.value}%` }} aria-hidden="true" />
        <span class="side left">{t().before}</span>
        <span class="side right">{t().after}</span>
      </div>
      <input
        type="range"
        min={0}
        max={100}
        value={share.value}
        aria-label={t().slider}
        onInput={(event) => {
          share.value = Number(event.currentTarget.value);
        }}
      />
      <div class="kinds-of-picture">
        {(["true_colour", "ndvi"] as const).map((each) => (
          <button
            key={each}
            type="button"
            class={kind.value === each ? "" : "second"}
            aria-pressed={kind.value === each}
            onClick={() => {
              missing.value = [];
              kind.value = each;
            }}
          >
            {t().kind[each]}
          </button>
        ))}
      </div>
      <figcaption class="muted">{t().credit}</figcaption>
    </figure>
  );
}
