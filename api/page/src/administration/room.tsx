/** For those who run the watch: accounts, runs, what could be seen, rules, models, who did what. */
import type { ComponentType } from "preact";
import { place } from "../navigation";
import { may } from "../session";
import { Models, Observed, Runs } from "./machine";
import { Audit, People } from "./people";
import { RulesTab } from "./rules";
import { t } from "./words";
import "./administration.css";

const TABS = {
  people: People,
  runs: Runs,
  observed: Observed,
  rules: RulesTab,
  models: Models,
  audit: Audit,
} satisfies Record<string, ComponentType>;
type Tab = keyof typeof TABS;

export default function Room() {
  if (!may("manage")) return <p class="paper">{t().notAllowed}</p>;
  const asked = place.value.query.get("onglet") ?? "people";
  const tab: Tab = asked in TABS ? (asked as Tab) : "people";
  const Shown = TABS[tab];
  return (
    <section class="paper administration">
      <h1>{t().title}</h1>
      <nav class="tabs">
        {(Object.keys(TABS) as Tab[]).map((each) => (
          <a key={each} href={`/administration?onglet=${each}`} aria-current={each === tab ? "page" : undefined}>
            {t().tabs[each]}
          </a>
        ))}
      </nav>
      <Shown />
    </section>
  );
}
