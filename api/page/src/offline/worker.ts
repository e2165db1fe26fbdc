/// <reference lib="webworker" />
/**
 * The service worker: without network the page itself is there, and what was taken along is answered.
 *
 * It never touches the database, where the queue is. A new version waits until a person has the page load it.
 */

import type { WorkboxPlugin } from "workbox-core/types.js";
import { ExpirationPlugin } from "workbox-expiration";
import { cleanupOutdatedCaches, createHandlerBoundToURL, precacheAndRoute } from "workbox-precaching";
import { NavigationRoute, registerRoute } from "workbox-routing";
import { CacheFirst, NetworkFirst, StaleWhileRevalidate } from "workbox-strategies";

declare const self: ServiceWorkerGlobalScope;

const AREAS = "sylvigie-areas";

precacheAndRoute(self.__WB_MANIFEST);
cleanupOutdatedCaches();
registerRoute(new NavigationRoute(createHandlerBoundToURL("/index.html"), { denylist: [/^\/api\//] }));

/** The oldest of a cache's files go first. */
function atMost(maxEntries: number, days: number): WorkboxPlugin {
  return new ExpirationPlugin({ maxEntries, maxAgeSeconds: days * 86_400, purgeOnQuotaError: true }) as WorkboxPlugin;
}

/** What an area has brought along is looked for where the network fails. */
const fromAreas = {
  handlerDidError: async ({ request }: { request: Request }) => {
    const cache = await caches.open(AREAS);
    return cache.match(request, { ignoreVary: true });
  },
};

registerRoute(
  ({ url }) => /^\/api\/v1\/alerts\/[^/]+\/(chips\/|series|history)/.test(url.pathname),
  new NetworkFirst({
    cacheName: "sylvigie-seen",
    networkTimeoutSeconds: 6,
    plugins: [fromAreas, atMost(400, 30)],
  }),
);
registerRoute(
  ({ url }) => /^\/api\/v1\/(page|reports\/form|base\/)/.test(url.pathname),
  new StaleWhileRevalidate({ cacheName: "sylvigie-settings" }),
);
registerRoute(
  ({ url, request }) => url.origin !== self.location.origin && request.destination !== "document",
  new CacheFirst({
    cacheName: "sylvigie-ground",
    plugins: [
      {
        cachedResponseWillBeUsed: async ({ cachedResponse, request }) =>
          cachedResponse ?? (await (await caches.open(AREAS)).match(request)),
      },
      atMost(600, 60),
    ],
  }),
);

self.addEventListener("message", (event) => {
  if (event.data === "take over") void self.skipWaiting();
});
