/**
 * The rooms of the page: which address shows which, each loaded when it is first entered.
 *
 * The service answers these addresses with the page (`api/routes/page.py` has the same list; a test compares them).
 */
import type { ComponentType } from "preact";
import { may, signedIn } from "./session";

/** What a room is given: the parts of the address that its pattern names. */
export type RoomProps = { params: Record<string, string> };

export type Room = {
  /** `/alertes/:id`: parts after a colon are given to the room. */
  pattern: string;
  load: () => Promise<{ default: ComponentType<RoomProps> }>;
  /** Name in the bar; rooms without are reached from others. */
  bar?: "map" | "reports" | "review" | "offline" | "administration" | "about";
  /** Who sees it in the bar. */
  shown?: () => boolean;
};

export const ROOMS: readonly Room[] = [
  { pattern: "/", load: () => import("./map/room"), bar: "map" },
  { pattern: "/alertes/:id", load: () => import("./alert/room") },
  { pattern: "/alertes/:id/fiche", load: () => import("./report/room") },
  { pattern: "/fiches", load: () => import("./report/mine"), bar: "reports", shown: () => may("report") },
  { pattern: "/revue", load: () => import("./review/room"), bar: "review", shown: () => may("review") },
  {
    pattern: "/terrain",
    load: () => import("./offline/room"),
    bar: "offline",
    shown: () => may("report") || signedIn(),
  },
  {
    pattern: "/administration",
    load: () => import("./administration/room"),
    bar: "administration",
    shown: () => may("manage"),
  },
  { pattern: "/a-propos", load: () => import("./about/room"), bar: "about" },
  { pattern: "/guide/:who", load: () => import("./about/guide") },
  { pattern: "/compte", load: () => import("./account/room") },
  { pattern: "/connexion", load: () => import("./account/sign_in") },
  { pattern: "/invitation", load: () => import("./account/invitation") },
  { pattern: "/reset", load: () => import("./account/reset") },
];

/** The room at a path and what its address names; null where there is none. */
export function roomAt(path: string): { room: Room; params: Record<string, string> } | null {
  const parts = path.split("/").filter(Boolean);
  for (const room of ROOMS) {
    const wanted = room.pattern.split("/").filter(Boolean);
    if (wanted.length !== parts.length) continue;
    const params: Record<string, string> = {};
    const fits = wanted.every((part, i) => {
      const given = parts[i] as string;
      if (!part.startsWith(":")) return part === given;
      params[part.slice(1)] = decodeURIComponent(given);
      return true;
    });
    if (fits) return { room, params };
  }
  return null;
}
