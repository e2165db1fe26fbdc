/** What the colours and lines mean, in words. */
import { t } from "./words";

export function Legend() {
  return (
    <details class="legend">
      <summary>{t().legend}</summary>
      <ul>
        {(["yes", "no", "unknown"] as const).map((level) => (
          <li key={level}>
            <span class={`mark ${level} confirmed`} aria-hidden="true" /> {t().level[level]}
          </li>
        ))}
        <li>
          <span class="mark unknown confirmed" aria-hidden="true" /> {t().state.confirmed}
        </li>
        <li>
          <span class="mark unknown provisional" aria-hidden="true" /> {t().state.provisional}
        </li>
        <li>
          <span class="mark cluster" aria-hidden="true" /> {t().clusters}
        </li>
      </ul>
    </details>
  );
}
