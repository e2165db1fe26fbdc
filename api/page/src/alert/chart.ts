/** The chart of a series, by uPlot. */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { number } from "../words";
import type { AlertProperties } from "./feature";
import { t } from "./words";

const HEIGHT_PX = 220;

/** Draw into an element; the result takes it away again. */
export function draw(
  element: HTMLElement,
  dates: { day: string; ndvi: number | null }[],
  told: AlertProperties,
): () => void {
  const seconds = (iso: string) => Date.parse(iso) / 1000;
  const from = told.last_intact === null ? null : seconds(told.last_intact);
  const to = seconds(told.first_low);
  const plot = new uPlot(
    {
      width: element.clientWidth || 600,
      height: HEIGHT_PX,
      legend: { show: false },
      cursor: { drag: { x: false, y: false } },
      scales: { y: { range: [-0.1, 1] } },
      axes: [{}, { size: 44, values: (_, ticks) => ticks.map((tick) => number(tick, 1)) }],
      series: [{}, { label: t().seriesValue, stroke: "#1f4d36", width: 2, points: { show: true, size: 6 } }],
      hooks: {
        drawClear: [
          (chart) => {
            const left = chart.valToPos(from ?? to, "x", true);
            const right = chart.valToPos(to, "x", true);
            chart.ctx.fillStyle = "rgba(179, 64, 31, 0.18)";
            chart.ctx.fillRect(left, chart.bbox.top, Math.max(2, right - left), chart.bbox.height);
          },
        ],
      },
    },
    [dates.map((entry) => seconds(entry.day)), dates.map((entry) => entry.ndvi)],
    element,
  );
  const watcher = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT_PX }));
  watcher.observe(element);
  return () => {
    watcher.disconnect();
    plot.destroy();
  };
}
