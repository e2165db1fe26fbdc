/** What a tab asks the service for, and how it says that it waits or was refused. */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { askJson, NotReached } from "../server/client";
import { t } from "./words";

export type Asked<T> = {
  told: Signal<T | null>;
  problem: Signal<string | null>;
  look: () => Promise<void>;
  act: (doing: () => Promise<unknown>) => void;
};

export function useAsked<T>(path: string): Asked<T> {
  const told = useSignal<T | null>(null);
  const problem = useSignal<string | null>(null);
  async function look(): Promise<void> {
    told.value = await askJson<T>(path);
  }
  function act(doing: () => Promise<unknown>): void {
    problem.value = null;
    doing().catch((error: unknown) => {
      problem.value = error instanceof NotReached ? t().failed : error instanceof Error ? error.message : String(error);
    });
  }
  useEffect(() => act(look), [path]);
  return { told, problem, look, act };
}

export function Waits({ of }: { of: { told: Signal<unknown>; problem: Signal<string | null> } }) {
  if (of.problem.value !== null) {
    return (
      <p class="problem" role="alert">
        {of.problem.value}
      </p>
    );
  }
  return of.told.value === null ? <p class="muted">{t().loading}</p> : null;
}
