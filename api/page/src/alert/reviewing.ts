/** What may be decided of an alert, and the words for it; the service has the last word (`api/store/reviews.py`). */

import { bilingual } from "../words";
import type { ReviewState } from "./feature";

/** States that may follow each, of those a reviewer chooses; "assigned" and "to review" come about otherwise. */
const NEXT: Record<ReviewState, readonly ReviewState[]> = {
  to_review: ["confirmed", "rejected", "uncertain"],
  assigned: ["confirmed", "rejected", "uncertain"],
  uncertain: ["confirmed", "rejected", "uncertain"],
  confirmed: ["published", "confirmed", "rejected", "uncertain"],
  rejected: ["confirmed", "rejected", "uncertain"],
  published: ["confirmed", "rejected", "uncertain"],
};

export function nextStates(review: ReviewState): readonly ReviewState[] {
  return NEXT[review];
}

/** What a rejected alert was, in the order of how often it is (a number key chooses it). */
export const REASONS = [
  "thinning",
  "dieback",
  "windthrow",
  "fire",
  "phenology",
  "haze",
  "field_edge",
  "snow",
  "flood",
  "other",
  "no_event",
] as const;

export const reasonWords = bilingual<Record<(typeof REASONS)[number], string>>({
  fr: {
    thinning: "Éclaircie",
    dieback: "Dépérissement",
    windthrow: "Chablis (tempête)",
    fire: "Incendie",
    phenology: "Saison (feuilles tombées, sécheresse)",
    haze: "Nuage ou brume",
    field_edge: "Bord de champ",
    snow: "Neige",
    flood: "Inondation",
    other: "Autre chose",
    no_event: "Rien : fausse alerte",
  },
  en: {
    thinning: "Thinning",
    dieback: "Dieback",
    windthrow: "Windthrow (storm)",
    fire: "Fire",
    phenology: "Season (leaves gone, drought)",
    haze: "Cloud or haze",
    field_edge: "Edge of a field",
    snow: "Snow",
    flood: "Flood",
    other: "Something else",
    no_event: "Nothing: a false alarm",
  },
});
