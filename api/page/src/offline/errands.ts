/** What waits to be sent, one thing at a time: a report, a photo of it, a review. */
import type { Geometry } from "geojson";

export type ErrandState = "waiting" | "sent" | "refused" | "conflict" | "dropped";

export type ReportBody = {
  alert_id: string;
  observed_on: string;
  answers: Record<string, string>;
  outline: Geometry | null;
  of_version: number | null;
};
export type ReviewBody = { state: string; reason?: string; comment?: string; seen_state?: string };

type Told = {
  /** UUID: the service keeps what is sent twice under it once. */
  id: string;
  alertId: string;
  state: ErrandState;
  /** Order of sending. */
  since: string;
  attempts: number;
  /** Not tried before: milliseconds since 1970. */
  notBefore: number;
  bytes: number;
  /** What the service said last. */
  said?: string;
  sentAt?: string;
};

export type Errand =
  | (Told & { what: "report"; body: ReportBody })
  | (Told & { what: "photo"; reportId: string; kind: string })
  | (Told & { what: "review"; body: ReviewBody });

const FIRST_WAIT_MS = 2_000;
const LONGEST_WAIT_MS = 10 * 60_000;

/** How long to wait after a number of attempts: doubled each time, spread so that many phones do not come at once. */
export function waitMs(attempts: number, random = Math.random): number {
  const most = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempts, 20));
  return most / 2 + (random() * most) / 2;
}

/** What may be tried now, in order: a report before its photos; what is given up or waits for a person is left. */
export function due(errands: readonly Errand[], now: number): Errand[] {
  const reports = new Map(errands.filter((one) => one.what === "report").map((one) => [one.id, one.state]));
  return errands
    .filter((one) => one.state === "waiting" && one.notBefore <= now)
    .filter((one) => one.what !== "photo" || (reports.get(one.reportId) ?? "sent") === "sent")
    .sort(inOrder);
}

/** The order of sending: as they came, a report before its photos. */
export function inOrder(one: Errand, other: Errand): number {
  return one.since.localeCompare(other.since) || rank(one) - rank(other);
}

function rank(errand: Errand): number {
  return errand.what === "photo" ? 1 : 0;
}
