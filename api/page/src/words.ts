/** Languages: what people read is in French first; the other is a switch away. */
import { signal } from "@preact/signals";

export type Language = "fr" | "en";
const KEPT = "sylvigie.language";

function first(): Language {
  const kept = localStorage.getItem(KEPT);
  return kept === "en" || kept === "fr" ? kept : "fr";
}

/** The language that is read now. */
export const language = signal<Language>(first());

export function speak(which: Language): void {
  localStorage.setItem(KEPT, which);
  document.documentElement.lang = which;
  language.value = which;
}

/**
 * The words of a room, in both languages: `const t = bilingual({ fr: {...}, en: {...} })`, then `t().title`.
 *
 * Both have the same names, or it does not compile.
 */
export function bilingual<Words extends Record<string, unknown>>(words: { fr: Words; en: Words }): () => Words {
  return () => words[language.value];
}

/** A number as people write it: "12,5" in French. */
export function number(value: number, digits = 0): string {
  return new Intl.NumberFormat(language.value, { maximumFractionDigits: digits }).format(value);
}

/** A day as people write it: "3 juillet 2019". */
export function day(iso: string): string {
  const format = new Intl.DateTimeFormat(language.value, {
    day: "numeric",
    month: "long",
    year: "numeric",
    timeZone: "UTC",
  });
  return format.format(new Date(iso));
}
