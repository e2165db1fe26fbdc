/** Reports that are being written: kept at each change, photos and all, until they are sent. */
import type { Geometry } from "geojson";
import { kept } from "./database";

export type PhotoDraft = { id: string; kind: string; name: string; bytes: number };

export type ReportDraft = {
  /** UUID made here: however often the report is sent, it is one. */
  reportId: string;
  alertId: string;
  /** Version that is written over; null for a report the service has not yet. */
  ofVersion: number | null;
  observedOn: string;
  answers: Record<string, string>;
  outline: Geometry | null;
  photos: PhotoDraft[];
  changedAt: string;
};

/** A new draft of today. */
export function newDraft(alertId: string, today = new Date()): ReportDraft {
  return {
    reportId: crypto.randomUUID(),
    alertId,
    ofVersion: null,
    observedOn: localDay(today),
    answers: {},
    outline: null,
    photos: [],
    changedAt: today.toISOString(),
  };
}

function localDay(moment: Date): string {
  const [month, day] = [moment.getMonth() + 1, moment.getDate()].map((part) => String(part).padStart(2, "0"));
  return `${moment.getFullYear()}-${month}-${day}`;
}

/** The draft of an alert's report, the newest where there are more; null where there is none. */
export async function draftOf(alertId: string): Promise<ReportDraft | null> {
  const found = await kept((db) => db.getAllFromIndex("drafts", "alert", alertId));
  return found.sort((one, other) => other.changedAt.localeCompare(one.changedAt))[0] ?? null;
}

export function allDrafts(): Promise<ReportDraft[]> {
  return kept((db) => db.getAll("drafts"));
}

/** Keep a draft as it is now. Throws `NoRoom`; what was kept before stays then. */
export async function keepDraft(draft: ReportDraft): Promise<void> {
  await askToStay();
  await kept((db) => db.put("drafts", { ...draft, changedAt: new Date().toISOString() }));
}

/** Add a photo to a draft: the picture and its mention at once, or neither. Throws `NoRoom`. */
export async function addPhoto(draft: ReportDraft, kind: string, file: File): Promise<ReportDraft> {
  const photo: PhotoDraft = { id: crypto.randomUUID(), kind, name: file.name, bytes: file.size };
  const grown = { ...draft, photos: [...draft.photos, photo], changedAt: new Date().toISOString() };
  await kept(async (db) => {
    const transaction = db.transaction(["drafts", "photos"], "readwrite");
    await Promise.all([
      transaction.objectStore("photos").put(file, photo.id),
      transaction.objectStore("drafts").put(grown),
      transaction.done,
    ]);
  });
  return grown;
}

export async function removePhoto(draft: ReportDraft, photoId: string): Promise<ReportDraft> {
  const left = { ...draft, photos: draft.photos.filter((photo) => photo.id !== photoId) };
  await kept(async (db) => {
    const transaction = db.transaction(["drafts", "photos"], "readwrite");
    await Promise.all([
      transaction.objectStore("drafts").put(left),
      transaction.objectStore("photos").delete(photoId),
      transaction.done,
    ]);
  });
  return left;
}

/** The picture of a draft or of what waits; null where it is gone. */
export async function photoOf(photoId: string): Promise<Blob | null> {
  return (await kept((db) => db.get("photos", photoId))) ?? null;
}

/** Throw a draft away, with its photos: a person's act. */
export async function dropDraft(reportId: string): Promise<void> {
  await kept(async (db) => {
    const transaction = db.transaction(["drafts", "photos"], "readwrite");
    const draft = await transaction.objectStore("drafts").get(reportId);
    for (const photo of draft?.photos ?? []) void transaction.objectStore("photos").delete(photo.id);
    void transaction.objectStore("drafts").delete(reportId);
    await transaction.done;
  });
}

let asked = false;

/** Ask the browser, once, not to clear what is kept when the device is short of room. */
async function askToStay(): Promise<void> {
  if (asked) return;
  asked = true;
  await navigator.storage?.persist?.().catch(() => false);
}
