/** The form of the observation report: its steps come from the service, so that a new question shows by itself. */
import { askJson, NotReached, type Schemas } from "../server/client";
import { language } from "../words";

export type Question = Schemas["FormQuestion"];
export type Tab = Schemas["FormTab"];

/** A step: questions, or one of ours. */
export type Step = { kind: "questions"; tab: Tab } | { kind: "outline" } | { kind: "photos" } | { kind: "send" };

const KEPT = "sylvigie.form";

/** The form, as the service has it; without network, as it was told last. */
export async function loadForm(): Promise<Tab[]> {
  try {
    const tabs = await askJson<Tab[]>("reports/form");
    localStorage.setItem(KEPT, JSON.stringify(tabs));
    return tabs;
  } catch (error) {
    const kept = localStorage.getItem(KEPT);
    if (error instanceof NotReached && kept !== null) return JSON.parse(kept) as Tab[];
    throw error;
  }
}

/** The steps, in the order of a visit; the date is asked for with the first questions. */
export function stepsOf(tabs: readonly Tab[]): Step[] {
  const asked = tabs.filter((tab) => tab.fields.length > 0).map((tab): Step => ({ kind: "questions", tab }));
  return [...asked, { kind: "outline" }, { kind: "photos" }, { kind: "send" }];
}

/** What is read of a question or a step, in the language that is spoken. */
export function said(of: { fr: string; en: string }): string {
  return language.value === "fr" ? of.fr : of.en;
}

/** The choices of a question: what is sent, and what is read. */
export function choicesOf(question: Question): [string, string][] {
  return Object.entries(language.value === "fr" ? question.choices : question.choices_en);
}

/** How many questions of a step have an answer. */
export function answered(tab: Tab, answers: Record<string, string>): number {
  return tab.fields.filter((field) => (answers[field.name] ?? "").trim() !== "").length;
}

const LONGEST = { line: 300, paragraph: 10_000 } as const;

/** Characters that an answer may have: the service refuses longer ones. */
export function longest(question: Question): number {
  return question.answer === "paragraph" ? LONGEST.paragraph : LONGEST.line;
}

export type Fault = "future" | "early" | "empty";

/** What stands in the way of sending; null where nothing does. */
export function faultOf(
  draft: { observedOn: string; answers: Record<string, string>; photos: readonly unknown[]; outline: unknown },
  today: string,
): Fault | null {
  if (draft.observedOn > today) return "future";
  if (draft.observedOn < "2015-06-23") return "early";
  const some = Object.values(draft.answers).some((answer) => answer.trim() !== "");
  return some || draft.photos.length > 0 || draft.outline !== null ? null : "empty";
}
