/** The list: what the map shows, in words, in step with it. */
import { useSignal, useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { AlertFeature } from "../alert/feature";
import { askJson } from "../server/client";
import { day, number } from "../words";
import type { Box } from "./box";
import { filters } from "./filters";
import { levelOf } from "./level";
import { type Listed, listed, pageAt, placeOf, pointed, seen, showBox } from "./view";
import { t } from "./words";

const WAIT_MS = 250;

export function AlertList() {
  const found = useSignal<Listed | null>(null);
  const problem = useSignal<string | null>(null);
  const asking = useRef<AbortController | null>(null);
  const timer = useRef<number | undefined>(undefined);

  function look(act: (signal: AbortSignal) => Promise<void>): void {
    asking.current?.abort();
    const now = new AbortController();
    asking.current = now;
    problem.value = null;
    act(now.signal).catch((error: unknown) => {
      if (!now.signal.aborted) problem.value = error instanceof Error ? error.message : String(error);
    });
  }

  useSignalEffect(() => {
    const [box, chosen] = [seen.value, filters.value];
    clearTimeout(timer.current);
    timer.current = window.setTimeout(
      () =>
        look(async (signal) => {
          found.value = await listed(box, chosen, signal);
        }),
      WAIT_MS,
    );
    return () => clearTimeout(timer.current);
  });

  function more(next: string): void {
    look(async (signal) => {
      const page = await pageAt(next, signal);
      found.value = { ...page, features: [...(found.peek()?.features ?? []), ...page.features] };
    });
  }

  const list = found.value;
  return (
    <section class="list" aria-busy={list === null}>
      {problem.value === null ? null : (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
      <p class="count" aria-live="polite">
        {list === null ? t().loading : countOf(list)}
      </p>
      {list?.offline ? <p class="muted">{t().offline}</p> : null}
      {list?.features.length === 0 ? <ShowAll /> : null}
      <ol>
        {list?.features.map((feature) => (
          <Line key={feature.id} feature={feature} />
        ))}
      </ol>
      {list?.next ? (
        <button type="button" class="second" onClick={() => more(list.next as string)}>
          {t().more}
        </button>
      ) : null}
    </section>
  );
}

function countOf(list: Listed): string {
  const n = number(list.features.length);
  if (list.features.length === 0) return Object.keys(filters.value).length > 0 ? t().noneFiltered : t().none;
  return list.next === null ? t().here(n) : t().hereMore(n);
}

/** Where the map looks at empty ground: the way to the alerts. */
function ShowAll() {
  async function show(): Promise<void> {
    const { extent } = await askJson<{ extent?: { spatial?: { bbox?: Box[] } } }>("collections/alerts");
    const [box] = extent?.spatial?.bbox ?? [];
    if (box !== undefined) showBox(box);
  }
  return (
    <button type="button" class="second" onClick={() => void show().catch(() => undefined)}>
      {t().all}
    </button>
  );
}

function Line({ feature }: { feature: AlertFeature }) {
  const told = feature.properties;
  const level = levelOf(told.potentially_abusive);
  const met = (told.criteria ?? []).filter((criterion) => criterion.met);
  const isPointed = pointed.value === feature.id;
  return (
    <li class={isPointed ? "pointed" : ""}>
      <a
        href={`/alertes/${encodeURIComponent(feature.id)}`}
        ref={(element) => {
          if (isPointed && element !== null && document.activeElement !== element)
            element.scrollIntoView({ block: "nearest" });
        }}
        onMouseEnter={() => {
          pointed.value = feature.id;
        }}
        onFocus={() => {
          pointed.value = feature.id;
        }}
      >
        <span class={`mark ${level} ${told.state}`} aria-hidden="true" />
        <span class="line-title">
          {placeOf(told) ?? t().unknownPlace} · {t().hectares(number(told.area_ha, 1))}
        </span>
        <span>
          {told.last_intact === null
            ? t().cutBefore(day(told.first_low))
            : t().cut(day(told.last_intact), day(told.first_low))}
        </span>
        <span class="tags">
          <span class="tag">{t().state[told.state] ?? told.state}</span>
          <span class={`tag ${level}`}>{t().level[level]}</span>
          {met.map((criterion) => (
            <span key={criterion.code} class="tag">
              {t().criterion[criterion.code] ?? criterion.code}
            </span>
          ))}
          <span class="tag">{t().review[told.review] ?? told.review}</span>
          {told.clearcut_probability === null ? null : (
            <span class="tag">{t().probability(number(told.clearcut_probability * 100))}</span>
          )}
        </span>
      </a>
    </li>
  );
}
