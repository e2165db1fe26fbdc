/** The queue of what is to be reviewed: which alerts, in which order, and what a key does. */
import type { AlertFeature, ReviewState } from "../alert/feature";
import { REASONS } from "../alert/reviewing";
import { ROOT } from "../server/client";

export const SORTS = ["-abuse_score", "-area_ha", "-first_low", "-clearcut_probability"] as const;
export type Sort = (typeof SORTS)[number];

/** What to ask the service for: alerts that wait for a review, the most telling first. */
export function queueAddress(sort: Sort, departement: string): string {
  const query = new URLSearchParams({ review: "to_review", sortby: sort, limit: "50" });
  if (departement !== "") query.set("departement", departement);
  return `${ROOT}/collections/alerts/items?${query}`;
}

export type Act =
  | { do: "decide"; state: ReviewState }
  | { do: "reason"; reason: string }
  | { do: "next" | "previous" | "undo" | "help" | "cancel" };

const KEYS: Record<string, Act> = {
  c: { do: "decide", state: "confirmed" },
  r: { do: "decide", state: "rejected" },
  u: { do: "decide", state: "uncertain" },
  z: { do: "undo" },
  j: { do: "next" },
  ArrowRight: { do: "next" },
  k: { do: "previous" },
  ArrowLeft: { do: "previous" },
  "?": { do: "help" },
  Escape: { do: "cancel" },
};

/** What a key does; while a reason is asked for, digits and letters from `1` on choose it. Null where it does nothing. */
export function actOf(key: string, askingReason: boolean): Act | null {
  if (askingReason) {
    const place = "1234567890-".indexOf(key);
    const reason = place < 0 ? undefined : REASONS[place];
    return reason === undefined ? (key === "Escape" ? { do: "cancel" } : null) : { do: "reason", reason };
  }
  return KEYS[key.length === 1 ? key.toLowerCase() : key] ?? null;
}

/** The key of a reason, as it is shown. */
export function keyOf(index: number): string {
  return "1234567890-"[index] ?? "";
}

/** Where to go after an alert was decided: on, and back to the first where it was the last. */
export function following(queue: readonly AlertFeature[], at: number, decided: ReadonlySet<string>): number {
  for (let step = 1; step <= queue.length; step++) {
    const place = (at + step) % queue.length;
    if (!decided.has(queue[place]?.id ?? "")) return place;
  }
  return at;
}
