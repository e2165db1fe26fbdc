/** The NDVI of an alert date by date, with the interval of the felling; the values are there as a table too. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { askJson, type Schemas } from "../server/client";
import { day, number } from "../words";
import type { AlertProperties } from "./feature";
import { t } from "./words";

type Entry = Schemas["SeriesEntry"];
const LEAST_CLEAR = 0.5;

export function Series({ id, told }: { id: string; told: AlertProperties }) {
  const dates = useSignal<Entry[] | null>(null);
  useEffect(() => {
    askJson<Schemas["Series"]>(`alerts/${encodeURIComponent(id)}/series`).then(
      (series) => {
        dates.value = series.dates.filter((entry) => entry.ndvi !== null && entry.clear_share >= LEAST_CLEAR);
      },
      () => {
        dates.value = [];
      },
    );
  }, [id]);
  if (dates.value === null) return <p class="muted">{t().loading}</p>;
  if (dates.value.length === 0) return <p class="muted">{t().seriesNone}</p>;
  return (
    <div>
      <Chart dates={dates.value} told={told} />
      <details>
        <summary>{t().seriesTable}</summary>
        <table>
          <thead>
            <tr>
              <th>{t().seriesDay}</th>
              <th>{t().seriesValue}</th>
              <th>{t().seriesClear}</th>
            </tr>
          </thead>
          <tbody>
            {dates.value.map((entry) => (
              <tr key={`${entry.day}${entry.scene}`}>
                <td>{day(entry.day)}</td>
                <td>{number(entry.ndvi ?? 0, 2)}</td>
                <td>{number(entry.clear_share * 100)} %</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </div>
  );
}

function Chart({ dates, told }: { dates: Entry[]; told: AlertProperties }) {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let destroy = () => {};
    // The chart's library comes when there is something to draw.
    void import("./chart").then(({ draw }) => {
      if (element.current !== null) destroy = draw(element.current, dates, told);
    });
    return () => destroy();
  }, [dates]);
  return <div ref={element} class="chart" role="img" aria-label={t().series} />;
}
