/** Which alerts are looked at: kept in the address, remembered for the next visit, sent to the service as they are. */
import { computed, signal } from "@preact/signals";
import { go, place } from "../navigation";

/** Names of the service's own filters, in the order of the form. */
export const NAMES = [
  "departement",
  "commune",
  "datetime",
  "min_area_ha",
  "min_probability",
  "state",
  "review",
  "criterion",
  "potentially_abusive",
  "sortby",
] as const;
export type Name = (typeof NAMES)[number];
export type Filters = Partial<Record<Name, string>>;

const KEPT = "sylvigie.filters";
/** What of the address is not a filter and stays as it is. */
const BESIDES = ["at", "alerte", "vue"];

/** The filters of the address. */
export const filters = computed<Filters>(() => filtersOf(place.value.query));

/** The filters that a query names; what is empty or unknown is left out. */
export function filtersOf(query: URLSearchParams): Filters {
  const found: Filters = {};
  for (const name of NAMES) {
    const value = query.get(name)?.trim();
    if (value) found[name] = value;
  }
  return found;
}

/** Filters as a query of the service; `without` leaves some out. */
export function queryOf(chosen: Filters, without: readonly Name[] = []): URLSearchParams {
  const query = new URLSearchParams();
  for (const name of NAMES) {
    const value = chosen[name];
    if (value !== undefined && !without.includes(name)) query.set(name, value);
  }
  return query;
}

/** Change the filters: the address tells them, and they are remembered. */
export function filterBy(chosen: Filters): void {
  const query = queryOf(chosen);
  localStorage.setItem(KEPT, query.toString());
  for (const name of BESIDES) {
    const value = place.peek().query.get(name);
    if (value !== null) query.set(name, value);
  }
  const text = query.toString();
  go(text === "" ? "/" : `/?${text}`, true);
}

/** Change what of the address is no filter: the place of the map, the alert that is looked at. */
export function tell(name: (typeof BESIDES)[number], value: string | null): void {
  const query = new URLSearchParams(place.peek().query);
  if (value === null) query.delete(name);
  else query.set(name, value);
  const text = decodeURIComponent(query.toString());
  go(text === "" ? "/" : `/?${text}`, true);
}

/** Take up the filters of the last visit, where the address names none. */
export function recall(): void {
  const kept = localStorage.getItem(KEPT);
  if (kept && Object.keys(filters.peek()).length === 0) filterBy(filtersOf(new URLSearchParams(kept)));
}

/** Whether the form of filters is open. */
export const formOpen = signal(false);
