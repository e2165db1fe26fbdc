/** The report of a visit, step by step; each change is kept on the phone before anything else happens. */
import { useSignal } from "@preact/signals";
import { lazy, Suspense } from "preact/compat";
import { useEffect, useRef } from "preact/hooks";
import { type AlertFeature, loadAlert } from "../alert/feature";
import { go, place } from "../navigation";
import { NoRoom } from "../offline/database";
import { draftOf, keepDraft, newDraft, type ReportDraft } from "../offline/drafts";
import { sendReport } from "../offline/outbox";
import type { RoomProps } from "../rooms";
import { may } from "../session";
import { Field } from "./fields";
import { answered, type Fault, faultOf, loadForm, type Step, said, stepsOf } from "./form";
import { Photos } from "./photos";
import { t } from "./words";
import "./report.css";

const OutlineMap = lazy(() => import("./outline_map"));
const KEPT_AFTER_MS = 400;

export default function Room({ params }: RoomProps) {
  const alertId = params.id as string;
  const steps = useSignal<Step[] | null>(null);
  const alert = useSignal<AlertFeature | null>(null);
  const problem = useSignal<string | null>(null);
  const { draft, change } = useDraft(alertId, problem);

  useEffect(() => {
    loadForm().then(
      (tabs) => {
        steps.value = stepsOf(tabs);
      },
      (error: unknown) => {
        problem.value = error instanceof Error ? error.message : String(error);
      },
    );
    loadAlert(alertId).then(
      (found) => {
        alert.value = found;
      },
      // Without the outline the rest of the report can be written all the same.
      () => undefined,
    );
  }, [alertId]);

  if (!may("report")) {
    return (
      <section class="paper">
        <p>{t().notAllowed}</p>
        <a class="button" href="/connexion">
          {t().signIn}
        </a>
      </section>
    );
  }
  if (steps.value === null || draft === null) {
    return (
      <p class="paper" role={problem.value === null ? undefined : "alert"}>
        {problem.value ?? t().loading}
      </p>
    );
  }
  return (
    <Report
      alertId={alertId}
      steps={steps.value}
      alert={alert.value}
      draft={draft}
      change={change}
      problem={problem.value}
    />
  );
}

/** The draft of an alert, kept soon after each change and at once when the page is left. */
function useDraft(alertId: string, problem: { value: string | null }) {
  const draft = useSignal<ReportDraft | null>(null);
  const timer = useRef<number | null>(null);

  function keepNow(): void {
    if (timer.current === null || draft.peek() === null) return;
    clearTimeout(timer.current);
    timer.current = null;
    keepDraft(draft.peek() as ReportDraft).then(
      () => {
        problem.value = null;
      },
      (error: unknown) => {
        problem.value = error instanceof NoRoom ? t().noRoom : String(error);
      },
    );
  }

  useEffect(() => {
    void draftOf(alertId).then((found) => {
      draft.value = found ?? newDraft(alertId);
    });
    const left = () => keepNow();
    document.addEventListener("visibilitychange", left);
    window.addEventListener("pagehide", left);
    return () => {
      left();
      document.removeEventListener("visibilitychange", left);
      window.removeEventListener("pagehide", left);
    };
  }, [alertId]);

  function change(next: ReportDraft): void {
    draft.value = next;
    if (timer.current !== null) clearTimeout(timer.current);
    timer.current = window.setTimeout(keepNow, KEPT_AFTER_MS);
  }
  /** What was sent is no draft any more: it is not to be kept again. */
  function sent(): void {
    if (timer.current !== null) clearTimeout(timer.current);
    timer.current = null;
  }
  return { draft: draft.value, change: Object.assign(change, { sent }) };
}

type ReportProps = {
  alertId: string;
  steps: Step[];
  alert: AlertFeature | null;
  draft: ReportDraft;
  change: ((next: ReportDraft) => void) & { sent: () => void };
  problem: string | null;
};

function Report({ alertId, steps, alert, draft, change, problem }: ReportProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  const now = Math.min(Math.max(Number(place.value.query.get("etape") ?? 1), 1), steps.length);
  const step = steps[now - 1] as Step;

  function turn(to: number): void {
    go(`/alertes/${encodeURIComponent(alertId)}/fiche?etape=${to}`);
    requestAnimationFrame(() => {
      heading.current?.focus();
      window.scrollTo(0, 0);
    });
  }

  return (
    <section class="paper report">
      <p class="muted">
        {t().title} · {alert?.properties.commune ?? `${t().alert} ${alertId}`}
      </p>
      <Progress steps={steps} now={now} draft={draft} turn={turn} />
      <h1 ref={heading} tabIndex={-1}>
        {nameOf(step)}
      </h1>
      {draft.ofVersion === null ? null : <p class="muted">{t().newVersion(draft.ofVersion + 1)}</p>}
      {problem === null ? null : (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      <Shown step={step} first={now === 1} alert={alert} draft={draft} change={change} />
      <div class="turn">
        <button type="button" class="second" disabled={now === 1} onClick={() => turn(now - 1)}>
          {t().back}
        </button>
        {now < steps.length ? (
          <button type="button" onClick={() => turn(now + 1)}>
            {t().next}
          </button>
        ) : null}
      </div>
    </section>
  );
}

function nameOf(step: Step): string {
  return step.kind === "questions" ? said(step.tab) : t()[step.kind];
}

function Progress({
  steps,
  now,
  draft,
  turn,
}: {
  steps: Step[];
  now: number;
  draft: ReportDraft;
  turn: (to: number) => void;
}) {
  return (
    <nav class="steps" aria-label={t().step(now, steps.length)}>
      <label>
        <span>{t().step(now, steps.length)}</span>
        <select value={now} onChange={(event) => turn(Number(event.currentTarget.value))}>
          {steps.map((step, i) => (
            <option key={nameOf(step)} value={i + 1}>
              {nameOf(step)}
              {doneIn(step, draft)}
            </option>
          ))}
        </select>
      </label>
      <progress max={steps.length} value={now} aria-hidden="true" />
    </nav>
  );
}

/** " (3)": how much there is of a step already. */
function doneIn(step: Step, draft: ReportDraft): string {
  const count =
    step.kind === "questions" ? answered(step.tab, draft.answers) : step.kind === "photos" ? draft.photos.length : 0;
  return count === 0 ? "" : ` (${count})`;
}

function Shown({
  step,
  first,
  alert,
  draft,
  change,
}: {
  step: Step;
  first: boolean;
  alert: AlertFeature | null;
  draft: ReportDraft;
  change: ReportProps["change"];
}) {
  switch (step.kind) {
    case "questions":
      return (
        <div>
          {first ? <Visit draft={draft} change={change} /> : null}
          {step.tab.fields.map((question) => (
            <Field
              key={question.name}
              question={question}
              value={draft.answers[question.name] ?? ""}
              onChange={(value) => change({ ...draft, answers: { ...draft.answers, [question.name]: value } })}
            />
          ))}
        </div>
      );
    case "outline":
      return (
        <div>
          <p class="muted">{t().outlineHelp}</p>
          {alert === null ? (
            <p>{t().outlineNone}</p>
          ) : (
            <Suspense fallback={<p>{t().loading}</p>}>
              <OutlineMap
                satellite={alert.geometry}
                drawn={draft.outline}
                onChange={(outline) => change({ ...draft, outline })}
              />
            </Suspense>
          )}
        </div>
      );
    case "photos":
      return <Photos draft={draft} onChange={change} />;
    case "send":
      return <Send draft={draft} change={change} />;
  }
}

/** The date, and the place if the phone is asked for it. */
function Visit({ draft, change }: { draft: ReportDraft; change: ReportProps["change"] }) {
  const told = useSignal("");
  function take(): void {
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => {
        const [lat, lon] = [coords.latitude.toFixed(5), coords.longitude.toFixed(5)];
        const metres = Math.round(coords.accuracy);
        const line = `${t().place} : ${lat}, ${lon} (± ${metres} m)`;
        const comment = [draft.answers.comment ?? "", line].filter(Boolean).join("\n");
        change({ ...draft, answers: { ...draft.answers, comment } });
        told.value = t().placeTaken(lat, lon, metres);
      },
      () => {
        told.value = t().placeFailed;
      },
      { enableHighAccuracy: true, timeout: 20_000 },
    );
  }
  return (
    <div>
      <p class="muted">{t().optional}</p>
      <div class="field">
        <label for="observed-on">{t().date}</label>
        <input
          id="observed-on"
          type="date"
          required
          value={draft.observedOn}
          max={today()}
          onInput={(event) => change({ ...draft, observedOn: event.currentTarget.value })}
        />
      </div>
      <div class="field">
        <button type="button" class="second" onClick={take}>
          {t().placeTake}
        </button>
        <span class="muted" aria-live="polite">
          {told.value}
        </span>
      </div>
    </div>
  );
}

function today(): string {
  return newDraft("").observedOn;
}

function Send({ draft, change }: { draft: ReportDraft; change: ReportProps["change"] }) {
  const problem = useSignal<string | null>(null);
  const fault: Fault | null = faultOf(draft, today());
  async function sendIt(): Promise<void> {
    try {
      change.sent();
      await sendReport(draft);
      go("/fiches?envoyee=1");
    } catch (error) {
      problem.value = error instanceof NoRoom ? t().noRoom : String(error);
    }
  }
  return (
    <div>
      <p>
        {Object.values(draft.answers).filter((answer) => answer.trim() !== "").length} {t().answers} ·{" "}
        {t().photoCount(draft.photos.length)}
      </p>
      <p class="muted">{t().sendHelp}</p>
      {fault === null ? null : (
        <p class="problem" role="alert">
          {t().faults[fault]}
        </p>
      )}
      {problem.value === null ? null : (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
      <button type="button" class="wide" disabled={fault !== null} onClick={() => void sendIt()}>
        {t().sendNow}
      </button>
    </div>
  );
}
