/** What waits, what was sent, what a person has to decide: always to be seen. */
import { useSignal } from "@preact/signals";
import { bilingual, language, number } from "../words";
import type { Errand } from "./errands";
import { drop, errands, flush, resolveConflict, sending, signInNeeded, tryAgain, waiting } from "./outbox";

const t = bilingual({
  fr: {
    what: { report: "Fiche", photo: "Photo", review: "Revue" },
    state: {
      waiting: "attend le réseau",
      sent: "envoyée",
      refused: "refusée",
      conflict: "quelqu'un d'autre l'a changée",
      dropped: "laissée de côté",
    },
    tried: (n: number) => (n === 1 ? "1 essai" : `${n} essais`),
    empty: "Rien n'attend d'être envoyé.",
    now: "Envoyer maintenant",
    sending: "Envoi en cours…",
    signIn: "Il faut vous connecter pour que la file parte :",
    signInLink: "se connecter",
    again: "Réessayer",
    drop: "Ne pas envoyer",
    dropSure: "Ne jamais envoyer ceci ?",
    mine: "Garder la mienne",
    theirs: "Garder l'autre",
    kilobytes: "ko",
    failed: "Le service n'a pas été joint : réessayez quand le réseau est là.",
  },
  en: {
    what: { report: "Report", photo: "Photo", review: "Review" },
    state: {
      waiting: "waits for the network",
      sent: "sent",
      refused: "refused",
      conflict: "somebody else has changed it",
      dropped: "left aside",
    },
    tried: (n: number) => (n === 1 ? "1 try" : `${n} tries`),
    empty: "Nothing waits to be sent.",
    now: "Send now",
    sending: "Sending…",
    signIn: "Sign in for the queue to go out:",
    signInLink: "sign in",
    again: "Try again",
    drop: "Do not send",
    dropSure: "Never send this?",
    mine: "Keep mine",
    theirs: "Keep the other",
    kilobytes: "kB",
    failed: "The service was not reached: try again when there is a network.",
  },
});

export function QueueList() {
  const problem = useSignal<string | null>(null);
  if (errands.value.length === 0) return <p class="muted">{t().empty}</p>;

  function act(doing: Promise<void>): void {
    problem.value = null;
    doing.catch(() => {
      problem.value = t().failed;
    });
  }
  return (
    <div class="queue">
      {signInNeeded.value === null ? null : (
        <p class="problem" role="alert">
          {t().signIn} <a href="/connexion">{t().signInLink}</a> ({signInNeeded.value})
        </p>
      )}
      {problem.value === null ? null : (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
      {waiting.value === 0 ? null : (
        <button type="button" class="second" disabled={sending.value} onClick={() => act(flush(true))}>
          {sending.value ? t().sending : t().now}
        </button>
      )}
      <ul aria-live="polite">
        {errands.value.toReversed().map((errand) => (
          <Line key={errand.id} errand={errand} act={act} />
        ))}
      </ul>
    </div>
  );
}

function Line({ errand, act }: { errand: Errand; act: (doing: Promise<void>) => void }) {
  return (
    <li data-state={errand.state}>
      <strong>{t().what[errand.what]}</strong>{" "}
      <a href={`/alertes/${encodeURIComponent(errand.alertId)}`}>{errand.alertId}</a>
      <span>
        {t().state[errand.state]} · {moment(errand.sentAt ?? errand.since)} · {number(errand.bytes / 1000, 1)}{" "}
        {t().kilobytes}
        {errand.attempts > 0 && errand.state === "waiting" ? ` · ${t().tried(errand.attempts)}` : ""}
      </span>
      {errand.said === undefined ? null : <span class="problem">{errand.said}</span>}
      <span class="acts">
        {errand.state === "conflict" ? (
          <>
            <button type="button" onClick={() => act(resolveConflict(errand.id, "mine"))}>
              {t().mine}
            </button>
            <button type="button" class="second" onClick={() => act(resolveConflict(errand.id, "theirs"))}>
              {t().theirs}
            </button>
          </>
        ) : null}
        {errand.state === "refused" ? (
          <button type="button" onClick={() => act(tryAgain(errand.id))}>
            {t().again}
          </button>
        ) : null}
        {errand.state === "refused" || (errand.state === "waiting" && errand.what !== "photo") ? (
          <button type="button" class="second" onClick={() => confirm(t().dropSure) && act(drop(errand.id))}>
            {t().drop}
          </button>
        ) : null}
      </span>
    </li>
  );
}

function moment(iso: string): string {
  return new Intl.DateTimeFormat(language.value, { dateStyle: "short", timeStyle: "short" }).format(new Date(iso));
}
