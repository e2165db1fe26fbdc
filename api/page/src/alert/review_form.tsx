/** What is decided of an alert; it waits in the queue where there is no network. */
import { useSignal } from "@preact/signals";
import { NoRoom } from "../offline/database";
import { sendReview } from "../offline/outbox";
import { ask } from "../server/client";
import type { ReviewState } from "./feature";
import { nextStates, REASONS, reasonWords } from "./reviewing";
import { t } from "./words";

export type ReviewFormProps = { alertId: string; review: ReviewState; onDone: () => void };

export function ReviewForm({ alertId, review, onDone }: ReviewFormProps) {
  const comment = useSignal("");
  const reason = useSignal("");
  const told = useSignal<string | null>(null);
  const problem = useSignal<string | null>(null);

  function decide(state: ReviewState): void {
    problem.value = null;
    const body = {
      state,
      seen_state: review,
      ...(state === "rejected" ? { reason: reason.value } : {}),
      ...(comment.value.trim() === "" ? {} : { comment: comment.value.trim() }),
    };
    sendReview(alertId, body).then(
      () => {
        told.value = t().queued;
        comment.value = "";
        onDone();
      },
      (error: unknown) => {
        problem.value = error instanceof NoRoom ? t().failed : String(error);
      },
    );
  }

  function undo(): void {
    problem.value = null;
    ask(`alerts/${encodeURIComponent(alertId)}/reviews/undo`, {
      method: "POST",
      headers: { "Idempotency-Key": crypto.randomUUID() },
    }).then(onDone, (error: unknown) => {
      problem.value = error instanceof Error ? error.message : t().failed;
    });
  }

  return (
    <div class="review-form">
      <label>
        {t().comment}
        <textarea
          rows={2}
          maxLength={4000}
          value={comment.value}
          onInput={(event) => {
            comment.value = event.currentTarget.value;
          }}
        />
      </label>
      <div class="decisions">
        {nextStates(review)
          .filter((state) => state !== "rejected")
          .map((state) => (
            <button key={state} type="button" onClick={() => decide(state)}>
              {t().decide[state]}
            </button>
          ))}
      </div>
      <div class="decisions">
        <label>
          <span class="unseen-text">{t().rejectWhy}</span>
          <select
            value={reason.value}
            onChange={(event) => {
              reason.value = event.currentTarget.value;
            }}
          >
            <option value="">
              {t().rejectWhy} : {t().choose}
            </option>
            {REASONS.map((code) => (
              <option key={code} value={code}>
                {reasonWords()[code]}
              </option>
            ))}
          </select>
        </label>
        <button type="button" class="danger" disabled={reason.value === ""} onClick={() => decide("rejected")}>
          {t().decide.rejected}
        </button>
      </div>
      {review === "to_review" ? null : (
        <button type="button" class="second" onClick={undo}>
          {t().undo}
        </button>
      )}
      <p aria-live="polite">{told.value}</p>
      {problem.value === null ? null : (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
    </div>
  );
}
