/**
 * What the page keeps on the device (IndexedDB): drafts, what waits to be sent, areas taken along.
 *
 * A new version of the page may add stores; none is ever emptied or taken away here, since a queue may be in it.
 */
import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { AreaRecord, KeptAlert } from "./areas";
import type { ReportDraft } from "./drafts";
import type { Errand } from "./errands";

export interface Kept extends DBSchema {
  drafts: { key: string; value: ReportDraft; indexes: { alert: string } };
  errands: { key: string; value: Errand };
  /** Photos, apart from what names them: lists are read without them. */
  photos: { key: string; value: Blob };
  areas: { key: string; value: AreaRecord };
  alerts: { key: string; value: KeptAlert; indexes: { area: string } };
}

export const DATABASE = "sylvigie";
const VERSION = 1;

let opened: Promise<IDBPDatabase<Kept>> | null = null;

/** The database, opened once. */
export function database(): Promise<IDBPDatabase<Kept>> {
  opened ??= openDB<Kept>(DATABASE, VERSION, {
    upgrade(db, before) {
      if (before < 1) {
        db.createObjectStore("drafts", { keyPath: "reportId" }).createIndex("alert", "alertId");
        db.createObjectStore("errands", { keyPath: "id" });
        db.createObjectStore("photos");
        db.createObjectStore("areas", { keyPath: "id" });
        db.createObjectStore("alerts", { keyPath: "id" }).createIndex("area", "areas", { multiEntry: true });
      }
    },
    blocking() {
      // A newer page, in another tab, wants to add stores: it is let, and this tab opens again at its next act.
      void forget();
    },
    terminated() {
      opened = null;
    },
  });
  return opened;
}

/** Close the database; the next act opens it again. */
export async function forget(): Promise<void> {
  const db = await opened?.catch(() => null);
  opened = null;
  db?.close();
}

/** The device has no room left: nothing was changed. */
export class NoRoom extends Error {
  constructor() {
    super("no room");
    this.name = "NoRoom";
  }
}

/** Do something with the database; a full device is told as `NoRoom`. */
export async function kept<T>(act: (db: IDBPDatabase<Kept>) => Promise<T>): Promise<T> {
  try {
    return await act(await database());
  } catch (error) {
    if (error instanceof DOMException && error.name === "QuotaExceededError") throw new NoRoom();
    throw error;
  }
}
