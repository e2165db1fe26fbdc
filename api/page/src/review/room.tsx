/** An analyst's queue: one alert at a time, its images large, decided by a key; the next one's images are here already. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { checksOf } from "../alert/checks";
import { Compare } from "../alert/compare";
import type { AlertFeature, ReviewState } from "../alert/feature";
import { REASONS, reasonWords } from "../alert/reviewing";
import { levelOf } from "../map/level";
import { placeOf } from "../map/view";
import { t as mapWords } from "../map/words";
import { chipAddress } from "../offline/areas";
import { sendReview } from "../offline/outbox";
import { ask, askJson, NotReached } from "../server/client";
import { may } from "../session";
import { bilingual, day, language, number } from "../words";
import { type Act, actOf, following, keyOf, queueAddress, SORTS, type Sort } from "./order";
import "../alert/alert.css";
import "./review.css";

const t = bilingual({
  fr: {
    title: "Revue",
    notAllowed: "La revue est réservée aux analystes.",
    loading: "Chargement…",
    empty: "Rien n'attend d'être revu.",
    left: (n: number) => (n === 1 ? "1 alerte à revoir" : `${n} alertes à revoir`),
    leftMore: (n: number) => `Plus de ${n} alertes à revoir`,
    order: "Ordre",
    departement: "Département",
    confirm: "Confirmer",
    reject: "Rejeter…",
    uncertain: "Incertaine",
    next: "Suivante",
    previous: "Précédente",
    undo: "Annuler",
    help: "Touches",
    helpText:
      "C confirmer, R rejeter (puis le chiffre du motif), U incertaine, Z annuler la dernière, J ou → suivante, K ou ← précédente, Échap fermer.",
    why: "Qu'était-ce ?",
    done: { confirmed: "Confirmée", rejected: "Rejetée", uncertain: "Incertaine" } as Record<string, string>,
    undone: "La dernière décision est annulée.",
    notSent: "La décision attend encore le réseau : elle ne peut être annulée qu'une fois envoyée.",
    open: "Toute l'alerte",
    failed: "Le service n'a pas été joint.",
    decided: "déjà décidée",
    check: "Points ouverts",
  },
  en: {
    title: "Review",
    notAllowed: "Review is for analysts.",
    loading: "Loading…",
    empty: "Nothing waits to be reviewed.",
    left: (n: number) => (n === 1 ? "1 alert to review" : `${n} alerts to review`),
    leftMore: (n: number) => `More than ${n} alerts to review`,
    order: "Order",
    departement: "Département",
    confirm: "Confirm",
    reject: "Reject…",
    uncertain: "Uncertain",
    next: "Next",
    previous: "Previous",
    undo: "Take back",
    help: "Keys",
    helpText:
      "C confirm, R reject (then the digit of the reason), U uncertain, Z take the last back, J or → next, K or ← previous, Esc close.",
    why: "What was it?",
    done: { confirmed: "Confirmed", rejected: "Rejected", uncertain: "Uncertain" } as Record<string, string>,
    undone: "The last decision is taken back.",
    notSent: "The decision still waits for the network: it can be taken back once it was sent.",
    open: "The whole alert",
    failed: "The service was not reached.",
    decided: "decided already",
    check: "Open points",
  },
});

type Page = { features: AlertFeature[]; links: { rel: string }[] };

export default function Room() {
  const sort = useSignal<Sort>("-abuse_score");
  const departement = useSignal("");
  const queue = useSignal<AlertFeature[] | null>(null);
  const more = useSignal(false);
  const at = useSignal(0);
  const decided = useSignal<ReadonlySet<string>>(new Set());
  const last = useSignal<string | null>(null);
  const asking = useSignal(false);
  const help = useSignal(false);
  const told = useSignal("");

  useEffect(() => {
    queue.value = null;
    askJson<Page>(queueAddress(sort.value, departement.value)).then(
      (page) => {
        queue.value = page.features;
        more.value = page.links.some((link) => link.rel === "next");
        at.value = 0;
        decided.value = new Set();
      },
      (error: unknown) => {
        queue.value = [];
        told.value = error instanceof NotReached ? t().failed : String(error);
      },
    );
  }, [sort.value, departement.value]);

  const alert = queue.value?.[at.value];

  async function decide(state: ReviewState, reason?: string): Promise<void> {
    if (alert === undefined || decided.value.has(alert.id)) return;
    asking.value = false;
    const body = { state, seen_state: alert.properties.review, ...(reason === undefined ? {} : { reason }) };
    await sendReview(alert.id, body);
    last.value = alert.id;
    told.value = `${t().done[state]} : ${placeOf(alert.properties) ?? alert.id}`;
    decided.value = new Set([...decided.value, alert.id]);
    at.value = following(queue.value ?? [], at.value, decided.value);
  }

  async function undo(): Promise<void> {
    const id = last.value;
    if (id === null) return;
    try {
      await ask(`alerts/${encodeURIComponent(id)}/reviews/undo`, {
        method: "POST",
        headers: { "Idempotency-Key": crypto.randomUUID() },
      });
    } catch (error) {
      told.value = error instanceof NotReached ? t().notSent : String(error);
      return;
    }
    decided.value = new Set([...decided.value].filter((one) => one !== id));
    at.value = (queue.value ?? []).findIndex((one) => one.id === id);
    last.value = null;
    told.value = t().undone;
  }

  function turn(step: number): void {
    const size = queue.value?.length ?? 0;
    asking.value = false;
    if (size > 0) at.value = (at.value + step + size) % size;
  }

  function act(what: Act): void {
    if (what.do === "decide" && what.state === "rejected") asking.value = true;
    else if (what.do === "decide") void decide(what.state);
    else if (what.do === "reason") void decide("rejected", what.reason);
    else if (what.do === "next") turn(1);
    else if (what.do === "previous") turn(-1);
    else if (what.do === "undo") void undo();
    else if (what.do === "help") help.value = !help.value;
    else {
      asking.value = false;
      help.value = false;
    }
  }

  useEffect(() => {
    function pressed(event: KeyboardEvent): void {
      // What is typed into a field, or meant for the browser, is no key of ours.
      const field = event.target instanceof HTMLElement && event.target.matches("input, select, textarea");
      if (field || event.ctrlKey || event.metaKey || event.altKey) return;
      const what = actOf(event.key, asking.peek());
      if (what === null) return;
      event.preventDefault();
      act(what);
    }
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  });

  if (!may("review")) return <p class="paper">{t().notAllowed}</p>;
  const left = (queue.value ?? []).length - decided.value.size;
  return (
    <section class="review-room">
      <header>
        <h1>{t().title}</h1>
        <p aria-live="polite" class="told">
          {told.value}
        </p>
        <strong>{more.value ? t().leftMore(left) : t().left(left)}</strong>
        <label>
          {t().order}{" "}
          <select
            value={sort.value}
            onChange={(event) => {
              sort.value = event.currentTarget.value as Sort;
            }}
          >
            {SORTS.map((each) => (
              <option key={each} value={each}>
                {mapWords().sort[each]}
              </option>
            ))}
          </select>
        </label>
        <label>
          {t().departement}{" "}
          <input
            size={4}
            value={departement.value}
            onChange={(event) => {
              departement.value = event.currentTarget.value.trim().toUpperCase();
            }}
          />
        </label>
        <button type="button" class="second" aria-expanded={help.value} onClick={() => act({ do: "help" })}>
          {t().help} (?)
        </button>
      </header>
      {help.value ? <p class="keys">{t().helpText}</p> : null}
      {queue.value === null ? <p>{t().loading}</p> : null}
      {queue.value?.length === 0 ? <p>{t().empty}</p> : null}
      {alert === undefined ? null : <Shown alert={alert} decided={decided.value.has(alert.id)} />}
      {asking.value ? (
        <fieldset class="reasons-asked">
          <legend>{t().why}</legend>
          {REASONS.map((reason, i) => (
            <button key={reason} type="button" class="second" onClick={() => act({ do: "reason", reason })}>
              <kbd>{keyOf(i)}</kbd> {reasonWords()[reason]}
            </button>
          ))}
        </fieldset>
      ) : null}
      {alert === undefined ? null : (
        <div class="review-acts">
          <button type="button" class="second" onClick={() => turn(-1)}>
            {t().previous}
          </button>
          <button type="button" onClick={() => act({ do: "decide", state: "confirmed" })}>
            {t().confirm} <kbd>C</kbd>
          </button>
          <button type="button" class="danger" onClick={() => act({ do: "decide", state: "rejected" })}>
            {t().reject} <kbd>R</kbd>
          </button>
          <button type="button" class="second" onClick={() => act({ do: "decide", state: "uncertain" })}>
            {t().uncertain} <kbd>U</kbd>
          </button>
          <button type="button" class="second" disabled={last.value === null} onClick={() => void undo()}>
            {t().undo} <kbd>Z</kbd>
          </button>
          <button type="button" class="second" onClick={() => turn(1)}>
            {t().next}
          </button>
        </div>
      )}
      <Preload alerts={[1, 2].map((step) => queue.value?.[at.value + step])} />
    </section>
  );
}

function Shown({ alert, decided }: { alert: AlertFeature; decided: boolean }) {
  const told = alert.properties;
  const level = levelOf(told.potentially_abusive);
  const reasons = [...(told.reasons?.clearcut?.for ?? []), ...(told.reasons?.clearcut?.against ?? [])];
  return (
    <div class="review-shown" key={alert.id}>
      <Compare id={alert.id} eager />
      <div>
        <h2>
          {placeOf(told) ?? mapWords().unknownPlace} · {number(told.area_ha, 2)} ha {decided ? `(${t().decided})` : ""}
        </h2>
        <p>
          {told.last_intact === null
            ? mapWords().cutBefore(day(told.first_low))
            : mapWords().cut(day(told.last_intact), day(told.first_low))}
        </p>
        <p class="tags">
          <span class="tag">{mapWords().state[told.state] ?? told.state}</span>
          <span class={`tag ${level}`}>{mapWords().level[level]}</span>
          {told.clearcut_probability === null ? null : (
            <span class="tag">{mapWords().probability(number(told.clearcut_probability * 100))}</span>
          )}
        </p>
        <ul>
          {reasons.map((reason) => (
            <li key={reason.code}>{language.value === "fr" ? reason.fr : reason.en}</li>
          ))}
        </ul>
        <h3>{t().check}</h3>
        <ul>
          {checksOf(told)
            .slice(2)
            .map((check) => (
              <li key={check.fr}>{language.value === "fr" ? check.fr : check.en}</li>
            ))}
        </ul>
        <a href={`/alertes/${encodeURIComponent(alert.id)}`}>{t().open}</a>
      </div>
    </div>
  );
}

/** The next alerts' images are asked for before they are looked at. */
function Preload({ alerts }: { alerts: (AlertFeature | undefined)[] }) {
  return (
    <div hidden>
      {alerts.flatMap((alert) =>
        alert === undefined
          ? []
          : ["before", "after"].map((moment) => (
              <img key={`${alert.id}${moment}`} src={chipAddress(alert.id, moment, "true_colour")} alt="" />
            )),
      )}
    </div>
  );
}
