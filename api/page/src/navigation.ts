/** Where in the page one is: the address, and how it changes without the page being loaded again. */
import { signal } from "@preact/signals";

export type Place = { path: string; query: URLSearchParams; fragment: string };

function here(): Place {
  return { path: location.pathname, query: new URLSearchParams(location.search), fragment: location.hash.slice(1) };
}

/** The address now. */
export const place = signal<Place>(here());

/** Go to an address of the page; `replace` leaves no step to come back to. */
export function go(address: string, replace = false): void {
  history[replace ? "replaceState" : "pushState"](null, "", address);
  place.value = here();
}

/** Links within the page change the address alone; call it once. */
export function followLinks(): void {
  window.addEventListener("popstate", () => {
    place.value = here();
  });
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const link = (event.target as Element | null)?.closest?.("a");
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (link.pathname.startsWith("/api/")) return;
    event.preventDefault();
    go(link.pathname + link.search + link.hash);
  });
}
