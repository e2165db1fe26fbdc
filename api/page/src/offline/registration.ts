/** The service worker's life: a new version of the page waits until a person wants it. */
import { signal } from "@preact/signals";

/** Whether a new version waits. */
export const updateReady = signal(false);
let waitingWorker: ServiceWorker | null = null;

export async function register(): Promise<void> {
  if (!("serviceWorker" in navigator) || !import.meta.env.PROD) return;
  const registration = await navigator.serviceWorker.register("/worker.js", { scope: "/" });
  const look = (worker: ServiceWorker | null) => {
    if (worker === null || navigator.serviceWorker.controller === null) return;
    const told = () => {
      if (worker.state !== "installed") return;
      waitingWorker = worker;
      updateReady.value = true;
    };
    told();
    worker.addEventListener("statechange", told);
  };
  look(registration.waiting);
  registration.addEventListener("updatefound", () => look(registration.installing));
}

/** Have the new version take over, and the page loaded again; drafts and the queue are in the database and stay. */
export function update(): void {
  navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
  waitingWorker?.postMessage("take over");
}
