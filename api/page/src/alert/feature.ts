/** One alert, from the service or, without network, from an area taken along. */
import type { Feature, Geometry } from "geojson";
import { offlineAlert } from "../offline/areas";
import { askJson, NotReached } from "../server/client";

/** Something said in both languages. */
export type Said = { code: string; fr: string; en: string };
export type Criterion = {
  code: string;
  value: number | null;
  threshold: number;
  unit: string;
  met: boolean | null;
  source: string;
};
export type LegalPoint = {
  code: string;
  status: "to_check" | "not_applicable" | "unknown";
  reference: string;
  source: string;
};
export type Zoning = { layer?: string; name?: string; code?: string; area_ha?: number };
export type ReviewState = "to_review" | "assigned" | "confirmed" | "rejected" | "uncertain" | "published";
type Reasons = { for: Said[]; against: Said[] };

/** What an alert tells (the fields of DESIGN, as the service gives them); what is not known is null. */
export type AlertProperties = {
  tile: string;
  status: "open" | "closed" | string;
  state: "provisional" | "confirmed";
  first_detected: string;
  last_intact: string | null;
  first_low: string;
  updated?: string | null;
  area_ha: number;
  ndvi_before: number | null;
  ndvi_after: number | null;
  ndvi_drop: number | null;
  n_clear_before: number | null;
  n_clear_after: number | null;
  clearcut_probability: number | null;
  abuse_score: number | null;
  potentially_abusive: boolean | null;
  reasons: { clearcut?: Reasons; abuse?: Reasons } | null;
  criteria: Criterion[] | null;
  legal_points: LegalPoint[] | null;
  cause: string | null;
  cause_reasons: Said[] | null;
  commune: string | null;
  commune_insee: string | null;
  departement: string | null;
  region: string | null;
  slope_block_ha: number | null;
  natura2000_ha: number | null;
  zonings: Zoning[] | null;
  forest_type: string | null;
  review: ReviewState;
  seen_since?: { month: string; state: string; status: string; area_ha: number } | null;
  scenes_before: string[] | null;
  scenes_after: string[] | null;
  model_version: string | null;
  rules_version: string | null;
  closed_reason?: string | null;
};
export type AlertFeature = Feature<Geometry, AlertProperties> & { id: string };

/** The alert of an identity. Throws `Refused`, or `NotReached` where it was not taken along either. */
export async function loadAlert(id: string): Promise<AlertFeature> {
  try {
    return await askJson<AlertFeature>(`collections/alerts/items/${encodeURIComponent(id)}`);
  } catch (error) {
    const kept = error instanceof NotReached ? await offlineAlert(id) : null;
    if (kept === null) throw error;
    return kept;
  }
}
