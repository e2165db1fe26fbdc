/** How to get there, and what to take along: coordinates, a way-point, a sheet, a star. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask, askJson, ROOT, type Schemas } from "../server/client";
import { may } from "../session";
import { language } from "../words";
import type { AlertFeature } from "./feature";
import { geoLink, gpxOf, middleOf } from "./navigation_links";
import { t } from "./words";

export function GoThere({ feature, place }: { feature: AlertFeature; place: string }) {
  const middle = middleOf(feature);
  const text = `${middle[1].toFixed(5)}, ${middle[0].toFixed(5)}`;
  const copied = useSignal(false);
  const name = `Sylvigie ${feature.id}`;

  function copy(): void {
    void navigator.clipboard.writeText(text).then(() => {
      copied.value = true;
    });
  }
  function saveGpx(): void {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([gpxOf(middle, name, place)], { type: "application/gpx+xml" }));
    link.download = `${feature.id}.gpx`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  return (
    <div class="go-there">
      <p>
        {t().wgs84} : <strong>{text}</strong>
      </p>
      <div class="acts no-print">
        <button type="button" class="second" onClick={copy}>
          {copied.value ? t().copied : t().copy}
        </button>
        <a class="button second" href={geoLink(middle, name)}>
          {t().app}
        </a>
        <button type="button" class="second" onClick={saveGpx}>
          {t().gpx}
        </button>
        <a class="button second" href={`/?at=${middle[0].toFixed(5)},${middle[1].toFixed(5)},14`}>
          {t().back}
        </a>
        <a class="button second" href={`${ROOT}/alerts/${encodeURIComponent(feature.id)}.pdf?lang=${language.value}`}>
          {t().pdf}
        </a>
        <button type="button" class="second" onClick={() => print()}>
          {t().print}
        </button>
        {may("report") ? <Star alertId={feature.id} /> : null}
      </div>
    </div>
  );
}

function Star({ alertId }: { alertId: string }) {
  const followed = useSignal<boolean | null>(null);
  useEffect(() => {
    askJson<Schemas["Favourites"]>("favourites").then(
      ({ alerts }) => {
        followed.value = alerts.includes(alertId);
      },
      // Without network there is no star to be shown.
      () => undefined,
    );
  }, [alertId]);
  if (followed.value === null) return null;
  function turn(): void {
    const wanted = !followed.value;
    void ask(`favourites/${encodeURIComponent(alertId)}`, { method: wanted ? "PUT" : "DELETE" }).then(() => {
      followed.value = wanted;
    });
  }
  return (
    <button type="button" class="second" aria-pressed={followed.value} onClick={turn}>
      {followed.value ? `★ ${t().favourited}` : `☆ ${t().favourite}`}
    </button>
  );
}
