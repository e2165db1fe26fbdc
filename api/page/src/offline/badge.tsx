/** In the bar: whether there is a network, and how much waits to be sent. */
import { signal } from "@preact/signals";
import { bilingual } from "../words";
import { waiting } from "./outbox";

const t = bilingual({
  fr: { offline: "Hors ligne", waits: (n: number) => (n === 1 ? "1 envoi en attente" : `${n} envois en attente`) },
  en: {
    offline: "Offline",
    waits: (n: number) => (n === 1 ? "1 thing waits to be sent" : `${n} things wait to be sent`),
  },
});

const online = signal(navigator.onLine);
for (const event of ["online", "offline"]) {
  window.addEventListener(event, () => {
    online.value = navigator.onLine;
  });
}

export function Badge() {
  return (
    <span class="badge" role="status">
      {online.value ? null : <span class="offline">{t().offline}</span>}
      {waiting.value === 0 ? null : (
        <a href="/fiches" title={t().waits(waiting.value)}>
          <span aria-hidden="true">↑ {waiting.value}</span>
          <span class="unseen-text">{t().waits(waiting.value)}</span>
        </a>
      )}
    </span>
  );
}
