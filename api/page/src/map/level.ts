/** The two things that an alert's colour and mark tell: whether it is confirmed, whether it is potentially abusive. */
import type { ExpressionSpecification } from "maplibre-gl";

export type Level = "yes" | "no" | "unknown";

export function levelOf(potentiallyAbusive: boolean | null | undefined): Level {
  return potentiallyAbusive == null ? "unknown" : potentiallyAbusive ? "yes" : "no";
}

/** Colours that people who see no red or green tell apart (Okabe and Ito 2008), dark enough on a map. */
export const COLOURS: Record<Level, string> = { yes: "#b3401f", no: "#0072b2", unknown: "#6b5b00" };

/** The colour of an outline of the vector tiles, where what is unknown is left out. */
export const COLOUR: ExpressionSpecification = [
  "case",
  ["!", ["has", "potentially_abusive"]],
  COLOURS.unknown,
  ["get", "potentially_abusive"],
  COLOURS.yes,
  COLOURS.no,
];
