/** One alert: what the images show, what it meets, what is to be checked, what people decided. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { placeOf } from "../map/view";
import type { RoomProps } from "../rooms";
import { askJson, NotReached, type Schemas } from "../server/client";
import { may } from "../session";
import { day, language, number } from "../words";
import { checksOf } from "./checks";
import { Comments } from "./comments";
import { Compare } from "./compare";
import { type AlertFeature, type AlertProperties, loadAlert, type Said } from "./feature";
import { GoThere } from "./go_there";
import { ReviewForm } from "./review_form";
import { Series } from "./series";
import { t } from "./words";
import "./alert.css";

type History = Schemas["History"];

export default function Room({ params }: RoomProps) {
  const id = params.id as string;
  const feature = useSignal<AlertFeature | null>(null);
  const history = useSignal<History | null>(null);
  const problem = useSignal<string | null>(null);

  async function look(): Promise<void> {
    try {
      feature.value = await loadAlert(id);
    } catch (error) {
      problem.value =
        error instanceof NotReached ? t().notHere : error instanceof Error ? error.message : String(error);
      return;
    }
    history.value = await askJson<History>(`alerts/${encodeURIComponent(id)}/history`).catch(() => null);
  }
  useEffect(() => void look(), [id]);

  if (feature.value === null) {
    return (
      <p class="paper" role={problem.value === null ? undefined : "alert"}>
        {problem.value ?? t().loading}
      </p>
    );
  }
  return <Alert feature={feature.value} history={history.value} onChange={() => void look()} />;
}

function Alert({
  feature,
  history,
  onChange,
}: {
  feature: AlertFeature;
  history: History | null;
  onChange: () => void;
}) {
  const told = feature.properties;
  const place = placeOf(told) ?? t().somewhere;
  return (
    <article class="alert">
      <header>
        <h1>{t().title(place)}</h1>
        <p class="muted">{feature.id}</p>
        {told.status === "closed" ? <p class="problem">{t().closedReason(told.closed_reason ?? t().unknown)}</p> : null}
        {told.seen_since ? (
          <p class="problem">{t().seenSince(told.seen_since.month, number(told.seen_since.area_ha, 1))}</p>
        ) : null}
      </header>
      <section class="pictures">
        <Compare id={feature.id} />
        <p>
          {told.last_intact === null
            ? t().intervalOpen(day(told.first_low))
            : t().interval(day(told.last_intact), day(told.first_low))}
        </p>
        <h2>{t().series}</h2>
        <Series id={feature.id} told={told} />
      </section>
      <section>
        <h2>{t().facts}</h2>
        <Facts told={told} />
        <GoThere feature={feature} place={place} />
      </section>
      <section>
        <h2>{t().check}</h2>
        <ul>
          {checksOf(told).map((check) => (
            <li key={check.fr}>{said(check)}</li>
          ))}
        </ul>
        {may("report") ? (
          <a class="button" href={`/alertes/${encodeURIComponent(feature.id)}/fiche`}>
            {t().report}
          </a>
        ) : null}
      </section>
      <section>
        <h2>{t().criteria}</h2>
        <p class="muted">{t().criteriaHelp}</p>
        <Criteria told={told} />
        <h2>{t().legal}</h2>
        <p class="muted">{t().legalHelp}</p>
        <Legal told={told} />
      </section>
      <section>
        <h2>{t().reasons}</h2>
        <Reasons told={told} />
        <p class="muted">{t().versions(told.model_version ?? t().unknown, told.rules_version ?? t().unknown)}</p>
      </section>
      {may("review") ? (
        <section class="no-print">
          <h2>{t().reviewTitle}</h2>
          <ReviewForm alertId={feature.id} review={told.review} onDone={onChange} />
        </section>
      ) : null}
      <section>
        <h2>{t().history}</h2>
        <Past history={history} />
      </section>
      {may("report") ? <Comments alertId={feature.id} /> : null}
    </article>
  );
}

function said(of: Said | { fr: string; en: string }): string {
  return language.value === "fr" ? of.fr : of.en;
}

/** What is not known is said to be so, and is never zero. */
function Facts({ told }: { told: AlertProperties }) {
  const ha = (value: number | null) => (value === null ? t().unknown : `${number(value, 2)} ${t().ha}`);
  const text = (value: string | null) => value ?? t().unknown;
  const lines: [string, string][] = [
    [t().fact.area, ha(told.area_ha)],
    [t().fact.state, t().state[told.state] ?? told.state],
    [
      t().fact.probability,
      told.clearcut_probability === null ? t().unknown : `${number(told.clearcut_probability * 100)} %`,
    ],
    [t().fact.abusive, told.potentially_abusive === null ? t().unknown : told.potentially_abusive ? t().yes : t().no],
    [t().fact.cause, told.cause === null ? t().unknown : (t().cause[told.cause] ?? told.cause)],
    [t().fact.commune, text(told.commune)],
    [t().fact.departement, text(told.departement)],
    [t().fact.region, text(told.region)],
    [t().fact.forest, text(told.forest_type)],
    [t().fact.slope, ha(told.slope_block_ha)],
    [t().fact.natura, ha(told.natura2000_ha)],
    [t().fact.looks, `${told.n_clear_before ?? t().unknown} / ${told.n_clear_after ?? t().unknown}`],
    [t().fact.detected, day(told.first_detected)],
    [t().fact.review, t().review[told.review] ?? told.review],
  ];
  return (
    <dl class="facts">
      {lines.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Criteria({ told }: { told: AlertProperties }) {
  return (
    <ul class="criteria">
      {(told.criteria ?? []).map((one) => (
        <li key={one.code} data-met={String(one.met)}>
          <strong>
            {t().criterion[one.code] ?? one.code} : {t().met[String(one.met)]}
          </strong>
          <span>
            {one.value === null ? t().unknown : `${number(one.value, 2)} ${one.unit}`} ({t().threshold}{" "}
            {number(one.threshold, 2)} {one.unit})
          </span>
          <small class="muted">
            {t().source} : {one.source}
          </small>
        </li>
      ))}
    </ul>
  );
}

function Legal({ told }: { told: AlertProperties }) {
  return (
    <ul class="criteria">
      {(told.legal_points ?? []).map((one) => (
        <li key={one.code} data-status={one.status}>
          <strong>
            {one.reference} : {t().legalStatus[one.status]}
          </strong>
          <small class="muted">
            {t().source} : {one.source}
          </small>
        </li>
      ))}
    </ul>
  );
}

function Reasons({ told }: { told: AlertProperties }) {
  const all = [...(told.cause_reasons ?? [])];
  return (
    <div class="reasons">
      {(["clearcut", "abuse"] as const).map((what) => {
        const found = told.reasons?.[what];
        if (found === undefined) return null;
        return (
          <div key={what}>
            <h3>{t().reasonsOf[what]}</h3>
            <p>
              <strong>{t().reasonsFor}</strong> : {found.for.map(said).join(" ; ") || t().unknown}
            </p>
            <p>
              <strong>{t().reasonsAgainst}</strong> : {found.against.map(said).join(" ; ") || t().unknown}
            </p>
          </div>
        );
      })}
      {all.length === 0 ? null : (
        <div>
          <h3>{t().fact.cause}</h3>
          <p>{all.map(said).join(" ; ")}</p>
        </div>
      )}
    </div>
  );
}

function Past({ history }: { history: History | null }) {
  if (history === null) return <p class="muted">{t().historyNone}</p>;
  return (
    <ul>
      {history.outlines.map((line) => (
        <li key={line.outline}>
          {t().seenLine(line.month, number(line.area_ha, 2), t().state[line.state] ?? line.state)}
        </li>
      ))}
      {history.reviews.map((line) => (
        <li key={line.made_at}>
          {t().reviewLine(day(line.made_at), t().review[line.state_before] ?? "", t().review[line.state] ?? "")}
          {line.undone ? ` (${t().undone})` : ""}
        </li>
      ))}
    </ul>
  );
}
