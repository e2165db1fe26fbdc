import type { Feature } from "geojson";
export type AreaRecord = { id: string };
export type KeptAlert = { id: string; areas: string[]; feature: Feature };
