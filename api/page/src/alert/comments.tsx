/** What people say of an alert among themselves. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask, askJson, type Schemas } from "../server/client";
import { day } from "../words";
import { t } from "./words";

type Line = Schemas["CommentLine"];

export function Comments({ alertId }: { alertId: string }) {
  const lines = useSignal<Line[]>([]);
  const text = useSignal("");
  const problem = useSignal<string | null>(null);
  const root = `alerts/${encodeURIComponent(alertId)}/comments`;

  async function look(): Promise<void> {
    lines.value = await askJson<Line[]>(root).catch(() => []);
  }
  useEffect(() => void look(), [alertId]);

  function act(doing: Promise<unknown>): void {
    problem.value = null;
    doing.then(look, (error: unknown) => {
      problem.value = error instanceof Error && error.name === "Refused" ? error.message : t().failed;
    });
  }
  return (
    <section class="no-print">
      <h2>{t().comments}</h2>
      <ul class="lines">
        {lines.value.map((line) => (
          <li key={line.id}>
            <span>
              {line.text} <small class="muted">{[line.by, day(line.made_at)].filter(Boolean).join(", ")}</small>
            </span>
            {line.mine ? (
              <button type="button" class="second" onClick={() => act(ask(`${root}/${line.id}`, { method: "DELETE" }))}>
                {t().remove}
              </button>
            ) : null}
          </li>
        ))}
      </ul>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const body = { id: crypto.randomUUID(), text: text.value.trim() };
          if (body.text !== "") act(ask(root, { method: "POST", body }));
          text.value = "";
        }}
      >
        <label>
          {t().commentAdd}
          <textarea
            rows={2}
            maxLength={4000}
            value={text.value}
            onInput={(event) => {
              text.value = event.currentTarget.value;
            }}
          />
        </label>
        <button type="submit">{t().send}</button>
      </form>
      {problem.value === null ? null : (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
    </section>
  );
}
