/** A form's act: busy while it runs, and the service's sentence where it is refused. */
import { useSignal } from "@preact/signals";
import { NotReached } from "../server/client";
import { t } from "./words";

export function useAct() {
  const busy = useSignal(false);
  const problem = useSignal<string | null>(null);
  function act(doing: () => Promise<void>): void {
    busy.value = true;
    problem.value = null;
    doing()
      .catch((error: unknown) => {
        problem.value =
          error instanceof NotReached ? t().failed : error instanceof Error ? error.message : String(error);
      })
      .finally(() => {
        busy.value = false;
      });
  }
  return { busy, problem, act };
}

/** What stands behind the link's #; it is taken out of the address, so that nobody reads it over a shoulder. */
export function takeToken(): string {
  const token = location.hash.slice(1);
  if (token !== "") history.replaceState(null, "", location.pathname);
  return token;
}
