/**
 * The queue of what is to be sent. What is in it leaves it only when the service has acknowledged it, or when a person
 * says so. One sender works at a time, over all tabs (Web Locks); what was sent stays to be seen for thirty days.
 */
import { computed, type Signal, signal } from "@preact/signals";
import { askJson, NotReached, type Schemas } from "../server/client";
import { recognise } from "../session";
import { kept } from "./database";
import { photoOf, type ReportDraft } from "./drafts";
import { due, type Errand, inOrder, type ReviewBody, waitMs } from "./errands";
import { type Outcome, send } from "./sending";

const SHOWN_DAYS = 30;
const LOCK = "sylvigie.outbox";
const channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(LOCK);

/** All that waits or was sent, oldest first; in step with the database, over tabs. */
export const errands: Signal<Errand[]> = signal([]);
/** How many wait, for a network or for a person. */
export const waiting = computed(() => errands.value.filter((one) => !["sent", "dropped"].includes(one.state)).length);
/** Who has to sign in before anything can be sent: the service's sentence, or null. */
export const signInNeeded: Signal<string | null> = signal(null);
/** Whether something is being sent now. */
export const sending = signal(false);

/** Read the queue anew; others' changes are heard of afterwards. */
export async function watchOutbox(): Promise<void> {
  await look();
  channel?.addEventListener("message", () => void look());
  window.addEventListener("online", () => void flush(true));
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") void flush();
  });
  setInterval(() => {
    if (waiting.value > 0) void flush();
  }, 30_000);
  // Who opens the page wants it sent now, however long it was to wait.
  await flush(true);
}

async function look(): Promise<void> {
  const all = await kept((db) => db.getAll("errands"));
  errands.value = all.sort(inOrder);
}

async function changed(): Promise<void> {
  await look();
  channel?.postMessage("changed");
}

/** Put a report and its photos in the queue; the draft is gone then. All of it at once, or nothing. */
export async function sendReport(draft: ReportDraft): Promise<void> {
  const since = new Date().toISOString();
  const common = { alertId: draft.alertId, state: "waiting" as const, since, attempts: 0, notBefore: 0 };
  const body = {
    alert_id: draft.alertId,
    observed_on: draft.observedOn,
    answers: draft.answers,
    outline: draft.outline,
    of_version: draft.ofVersion,
  };
  const report: Errand = { ...common, what: "report", id: draft.reportId, bytes: JSON.stringify(body).length, body };
  const photos: Errand[] = draft.photos.map(({ id, kind, bytes }) => ({
    ...common,
    what: "photo",
    id,
    kind,
    bytes,
    reportId: draft.reportId,
  }));
  await kept(async (db) => {
    const transaction = db.transaction(["drafts", "errands"], "readwrite");
    for (const errand of [report, ...photos]) void transaction.objectStore("errands").put(errand);
    void transaction.objectStore("drafts").delete(draft.reportId);
    await transaction.done;
  });
  await changed();
  void flush();
}

/** Put a review in the queue. */
export async function sendReview(alertId: string, body: ReviewBody): Promise<void> {
  const errand: Errand = {
    what: "review",
    id: crypto.randomUUID(),
    alertId,
    body,
    state: "waiting",
    since: new Date().toISOString(),
    attempts: 0,
    notBefore: 0,
    bytes: JSON.stringify(body).length,
  };
  await kept((db) => db.put("errands", errand));
  await changed();
  void flush();
}

let atWork: Promise<void> | null = null;
let askedAgain = false;

/**
 * Send what is due, one after the other; `anyway` also what was to wait longer. Another tab's sender is not disturbed,
 * and who asks while this one sends has it look once more.
 */
export function flush(anyway = false): Promise<void> {
  if (atWork !== null) {
    askedAgain = true;
    return atWork;
  }
  atWork = (async () => {
    do {
      askedAgain = false;
      await alone(() => sendAll(anyway));
    } while (askedAgain);
  })()
    .catch((error: unknown) => console.error("The queue could not be sent", error))
    .finally(() => {
      atWork = null;
    });
  return atWork;
}

/** Do something unless another tab is at it. */
async function alone(act: () => Promise<void>): Promise<void> {
  // Browsers have Web Locks where the page is secure, which it has to be for a service worker too.
  const locks: LockManager | null | undefined = navigator.locks;
  if (!locks) return act();
  await locks.request(LOCK, { ifAvailable: true }, (lock) => (lock === null ? undefined : act()));
}

async function sendAll(anyway: boolean): Promise<void> {
  await tidy();
  if (due(errands.value, anyway ? Number.POSITIVE_INFINITY : Date.now()).length === 0) return;
  sending.value = true;
  try {
    // The session's token against forged requests may be another by now.
    await recognise();
    signInNeeded.value = null;
    const tried = new Set<string>();
    for (;;) {
      await look();
      const all = due(errands.value, anyway ? Number.POSITIVE_INFINITY : Date.now());
      const next = all.find((one) => !tried.has(one.id));
      if (next === undefined) return;
      tried.add(next.id);
      const outcome = await send(next, photoOf);
      await note(next, outcome);
      if (outcome.came === "sign in") {
        signInNeeded.value = outcome.said;
        return;
      }
      // Without network the next one would fare no better.
      if (outcome.came === "later" && outcome.said === undefined && !anyway) return;
    }
  } finally {
    sending.value = false;
  }
}

/** Write down what came of an errand; the picture of a photo that is there is no longer needed here. */
async function note(errand: Errand, outcome: Outcome): Promise<void> {
  const now = new Date();
  await kept(async (db) => {
    const transaction = db.transaction(["errands", "photos"], "readwrite");
    const store = transaction.objectStore("errands");
    const as = await store.get(errand.id);
    if (as !== undefined && as.state === "waiting") void store.put(after(as, outcome, now));
    if (outcome.came === "sent" && errand.what === "photo") void transaction.objectStore("photos").delete(errand.id);
    await transaction.done;
  });
  await changed();
}

/** An errand as it is after an outcome. */
export function after(errand: Errand, outcome: Outcome, now: Date): Errand {
  const { said: _, ...rest } = errand;
  const plain = rest as Errand;
  switch (outcome.came) {
    case "sent":
      return { ...plain, state: "sent", sentAt: now.toISOString() };
    case "conflict":
    case "refused":
      return { ...plain, state: outcome.came, said: outcome.said };
    case "sign in":
      return { ...plain, said: outcome.said };
    case "later": {
      const attempts = errand.attempts + 1;
      const pause = outcome.afterSeconds === undefined ? waitMs(attempts) : outcome.afterSeconds * 1000;
      const later = { ...plain, attempts, notBefore: now.getTime() + pause };
      return outcome.said === undefined ? later : { ...later, said: outcome.said };
    }
  }
}

/** What was sent or dropped long ago is no longer shown. */
async function tidy(): Promise<void> {
  await look();
  const before = new Date(Date.now() - SHOWN_DAYS * 86_400_000).toISOString();
  const old = errands.value.filter(
    (one) => ["sent", "dropped"].includes(one.state) && (one.sentAt ?? one.since) < before,
  );
  if (old.length === 0) return;
  await kept(async (db) => {
    const transaction = db.transaction("errands", "readwrite");
    for (const one of old) void transaction.store.delete(one.id);
    await transaction.done;
  });
  await changed();
}

/**
 * A person's word on a conflict: `mine` is written over what came in between, `theirs` leaves mine unsent.
 *
 * Throws `NotReached` where the service has to be asked for the newest version and is not there.
 */
export async function resolveConflict(id: string, how: "mine" | "theirs"): Promise<void> {
  const errand = errands.value.find((one) => one.id === id);
  if (errand === undefined || errand.state !== "conflict") return;
  if (how === "theirs") return drop(id);
  const again = { ...errand, state: "waiting" as const, attempts: 0, notBefore: 0 };
  if (again.what === "report") {
    const { reports } = await askJson<Schemas["Reports"]>(`reports/${id}`);
    const newest = Math.max(...reports.map((report) => report.version));
    if (!Number.isFinite(newest)) throw new NotReached("no version of the report");
    again.body = { ...again.body, of_version: newest };
  } else if (again.what === "review") {
    const { seen_state: _, ...body } = again.body;
    again.body = body;
  }
  await kept((db) => db.put("errands", again));
  await changed();
  void flush();
}

/** Try a refused errand again: a person's act. */
export async function tryAgain(id: string): Promise<void> {
  const errand = errands.value.find((one) => one.id === id);
  if (errand === undefined || errand.state !== "refused") return;
  await kept((db) => db.put("errands", { ...errand, state: "waiting", attempts: 0, notBefore: 0 }));
  await changed();
  void flush();
}

/** Leave something unsent for good, a report with its photos: a person's act alone. */
export async function drop(id: string): Promise<void> {
  await kept(async (db) => {
    const transaction = db.transaction(["errands", "photos"], "readwrite");
    const store = transaction.objectStore("errands");
    for (const errand of await store.getAll()) {
      if (errand.state === "sent" || (errand.id !== id && !(errand.what === "photo" && errand.reportId === id)))
        continue;
      void store.put({ ...errand, state: "dropped", sentAt: new Date().toISOString() });
      void transaction.objectStore("photos").delete(errand.id);
    }
    await transaction.done;
  });
  await changed();
}
