/** Who uses the page, and what they may do. */
import { signal } from "@preact/signals";
import { askJson, keepCsrf, type Schemas } from "./server/client";

export type Me = Schemas["Me"];
export type Right = Me["rights"][number];

/** Who asks, as the service told it last; null until it has, or where it was never reached. */
export const me = signal<Me | null>(null);

const KEPT = "sylvigie.me";

/** Ask the service who we are; without network, what it told last is believed (the service checks every act anyway). */
export async function recognise(): Promise<void> {
  try {
    take(await askJson<Me>("auth/me"));
  } catch {
    const kept = localStorage.getItem(KEPT);
    me.value = kept === null ? null : (JSON.parse(kept) as Me);
  }
}

/** Take what the service told of who we are. */
export function take(told: Me): void {
  keepCsrf(told.csrf_token ?? null);
  const { csrf_token: _, ...shown } = told;
  localStorage.setItem(KEPT, JSON.stringify(shown));
  me.value = told;
}

/** Whether who uses the page may do something. */
export function may(right: Right): boolean {
  return me.value?.rights.includes(right) ?? false;
}

/** Whether somebody has signed in. */
export function signedIn(): boolean {
  return me.value?.name != null;
}
