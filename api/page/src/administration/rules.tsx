/** Rules and thresholds, and what others would change; nothing is changed here. */
import { useSignal } from "@preact/signals";
import { askJson, type Schemas } from "../server/client";
import { language, number } from "../words";
import { useAsked, Waits } from "./asked";
import { t } from "./words";

type Rule = Schemas["RuleTold"];
type Tried = Schemas["ThresholdsTried"];

export function RulesTab() {
  const rules = useAsked<Schemas["RulesTold"]>("administration/rules");
  const chosen = useSignal<Record<string, number>>({});
  const tried = useSignal<Tried | null>(null);
  const told = rules.told.value;
  const policy = told?.rules.filter((rule) => rule.kind === "policy") ?? [];

  async function tryThem(): Promise<void> {
    const thresholds = Object.fromEntries(
      policy
        .map((rule) => [rule.code, chosen.value[rule.code] ?? rule.threshold ?? 0])
        .filter(([, value]) => Number(value) > 0),
    );
    tried.value = await askJson<Tried>("administration/rules/preview", { method: "POST", body: { thresholds } });
  }
  return (
    <div>
      <Waits of={rules} />
      {told === null ? null : <p>{t().version(told.version)}</p>}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          rules.act(tryThem);
        }}
      >
        {policy.map((rule) => (
          <Criterion
            key={rule.code}
            rule={rule}
            value={chosen.value[rule.code] ?? rule.threshold ?? 0}
            onChange={(value) => {
              chosen.value = { ...chosen.value, [rule.code]: value };
            }}
          />
        ))}
        {policy.length === 0 ? null : <button type="submit">{t().tryIt}</button>}
      </form>
      {tried.value === null ? null : <Outcome tried={tried.value} policy={policy} />}
      <h2>{t().legal}</h2>
      <ul>
        {told?.rules
          .filter((rule) => rule.kind !== "policy")
          .map((rule) => (
            <li key={rule.code}>
              <strong>{rule.reference}</strong> : {language.value === "fr" ? rule.fr : rule.en}
            </li>
          ))}
      </ul>
    </div>
  );
}

function Criterion({ rule, value, onChange }: { rule: Rule; value: number; onChange: (value: number) => void }) {
  return (
    <div class="criterion">
      <h3>{language.value === "fr" ? rule.fr : rule.en}</h3>
      <p class="muted">{language.value === "fr" ? rule.explanation_fr : rule.explanation_en}</p>
      <label>
        {t().threshold} ({rule.unit}){" "}
        <input
          type="number"
          min={0.1}
          step={0.1}
          value={value}
          onInput={(event) => onChange(Number(event.currentTarget.value))}
        />
      </label>
      <small class="muted">{rule.source}</small>
    </div>
  );
}

function Outcome({ tried, policy }: { tried: Tried; policy: Rule[] }) {
  const name = (code: string) => {
    const rule = policy.find((one) => one.code === code);
    return rule === undefined ? code : language.value === "fr" ? rule.fr : rule.en;
  };
  const lines = [
    ...Object.entries(tried.criteria).map(([code, each]) => [name(code), each] as const),
    [t().abusive, tried.potentially_abusive] as const,
  ];
  return (
    <div role="status">
      <p>
        {tried.all ? t().tried(tried.alerts) : t().triedSome(tried.alerts)}{" "}
        <strong>{t().changed(tried.changed)}</strong>
      </p>
      <table>
        <thead>
          <tr>
            <th />
            <th>{t().asItIs}</th>
            <th>{t().asItWouldBe}</th>
          </tr>
        </thead>
        <tbody>
          {lines.map(([label, each]) => (
            <tr key={label}>
              <th>{label}</th>
              <td>{counts(each.now)}</td>
              <td>{counts(each.then)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <ul>
        {tried.changed_alerts.map((id) => (
          <li key={id}>
            <a href={`/alertes/${encodeURIComponent(id)}`}>{id}</a>
          </li>
        ))}
      </ul>
    </div>
  );
}

function counts(each: Schemas["AnswerCounts"]): string {
  return (["yes", "no", "unknown"] as const)
    .map((answer) => `${number(each[answer])} ${t().answer[answer]}`)
    .join(", ");
}
