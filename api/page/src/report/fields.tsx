/** The questions of a step, large enough for a wet thumb. */
import { number } from "../words";
import { choicesOf, longest, type Question, said } from "./form";
import { t } from "./words";

export type FieldProps = { question: Question; value: string; onChange: (value: string) => void };

export function Field(props: FieldProps) {
  if (props.question.answer === "choice") return <Choice {...props} />;
  return <Text {...props} />;
}

function Private({ question }: { question: Question }) {
  return question.private ? <span class="private">{t().private}</span> : null;
}

function Choice({ question, value, onChange }: FieldProps) {
  return (
    <fieldset class="field">
      <legend>
        {said(question)} <Private question={question} />
      </legend>
      <div class="choices">
        {choicesOf(question).map(([choice, label]) => (
          <label key={choice} class={value === choice ? "choice chosen" : "choice"}>
            <input
              type="radio"
              name={question.name}
              checked={value === choice}
              onChange={() => onChange(choice)}
              // A second touch takes the answer back: not said is not no.
              onClick={() => value === choice && onChange("")}
            />
            {label}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

function Text({ question, value, onChange }: FieldProps) {
  const most = longest(question);
  const common = {
    id: `field-${question.name}`,
    name: question.name,
    value,
    maxLength: most,
    autocomplete: "off" as const,
    onInput: (event: { currentTarget: { value: string } }) => onChange(event.currentTarget.value),
  };
  return (
    <div class="field">
      <label for={common.id}>
        {said(question)} <Private question={question} />
      </label>
      {question.answer === "paragraph" ? <textarea rows={3} {...common} /> : <input type="text" {...common} />}
      {value.length > most * 0.9 ? (
        <span class="muted" aria-live="polite">
          {number(value.length)} / {number(most)}
        </span>
      ) : null}
    </div>
  );
}
