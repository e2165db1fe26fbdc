import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { database, forget, kept, NoRoom } from "./database";
import { addPhoto, allDrafts, draftOf, keepDraft, newDraft, photoOf, type ReportDraft } from "./drafts";
import { due, type Errand, waitMs } from "./errands";
import { FakeService, seeded } from "./fake_service";
import {
  after,
  drop,
  errands,
  flush,
  resolveConflict,
  sendReport,
  sendReview,
  signInNeeded,
  tryAgain,
  waiting,
} from "./outbox";

let service: FakeService;

beforeEach(async () => {
  await forget();
  globalThis.indexedDB = new IDBFactory();
  errands.value = [];
  service = new FakeService(seeded(1), 0);
  vi.stubGlobal("fetch", (input: RequestInfo, init?: RequestInit) => service.fetch(input, init));
});

afterEach(() => vi.unstubAllGlobals());

function picture(seed: number): File {
  const random = seeded(seed);
  const bytes = Uint8Array.from({ length: 2000 + Math.floor(random() * 3000) }, () => Math.floor(random() * 256));
  return new File([bytes], "IMG_1.jpg", { type: "image/jpeg" });
}

async function written(number: number, photos = 1): Promise<ReportDraft> {
  let draft: ReportDraft = { ...newDraft(`ALERT-${number}`), answers: { comment: `visite ${number}` } };
  await keepDraft(draft);
  for (let i = 0; i < photos; i++) draft = await addPhoto(draft, "cut", picture(number * 10 + i));
  return draft;
}

/** Send until nothing waits; as a phone does, over hours. */
async function untilSent(rounds = 400): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await flush(true);
    if (waiting.value === 0) return;
  }
}

describe("a queue", () => {
  it("brings fifty reports with photos over a network that loses half of all: each there once, byte for byte", async () => {
    service = new FakeService(seeded(7), 0);
    const drafts = [];
    service.lost = 1;
    for (let i = 0; i < 50; i++) {
      const draft = await written(i);
      drafts.push(draft);
      await sendReport(draft);
    }
    expect(await allDrafts()).toEqual([]);
    service.lost = 0.5;
    await untilSent();
    expect(errands.value.map((one) => one.state)).toEqual(Array(100).fill("sent"));
    expect(service.reports.size).toBe(50);
    for (const [number, draft] of drafts.entries()) {
      expect(service.reports.get(draft.reportId)?.versions).toHaveLength(1);
      const [photo] = draft.photos;
      const sent = service.photos.get(photo?.id ?? "")?.parts;
      expect(sent).toEqual(new Uint8Array(await picture(number * 10).arrayBuffer()));
    }
    expect(service.photos.size).toBe(50);
    // The pictures are there: the device has its room back.
    expect(await kept((db) => db.count("photos"))).toBe(0);
  });

  it("is there again when the page is opened anew, and goes on", async () => {
    service.lost = 1;
    const draft = await written(1, 2);
    await sendReport(draft);
    await flush(true);
    await forget();
    errands.value = [];
    service.lost = 0;
    await untilSent();
    expect(errands.value.map((one) => one.state)).toEqual(["sent", "sent", "sent"]);
    expect(service.photos.size).toBe(2);
  });

  it("sends a report before its photos, and no photo of a report that was refused", async () => {
    service.instead.push({ method: "PUT", path: "/reports/", status: 404, times: 1 });
    await sendReport(await written(1));
    await flush(true);
    expect(errands.value.map((one) => [one.what, one.state, one.said])).toEqual([
      ["report", "refused", "refused with 404"],
      ["photo", "waiting", undefined],
    ]);
    expect(service.photos.size).toBe(0);
    await tryAgain(errands.value[0]?.id ?? "");
    await untilSent();
    expect(errands.value.map((one) => one.state)).toEqual(["sent", "sent"]);
  });

  it("keeps all while nobody has signed in, and says so", async () => {
    service.instead.push({ method: "PUT", path: "/reports/", status: 403, times: 1 });
    await sendReport(await written(1));
    await vi.waitFor(() => expect(signInNeeded.value).toBe("refused with 403"));
    expect(waiting.value).toBe(2);
    await untilSent();
    expect(signInNeeded.value).toBeNull();
    expect(waiting.value).toBe(0);
  });

  it("waits as long as the service asks", () => {
    const errand = {
      what: "review",
      id: "a",
      alertId: "A",
      state: "waiting",
      since: "",
      attempts: 0,
      notBefore: 0,
      bytes: 1,
      body: { state: "uncertain" },
    } as Errand;
    const now = new Date("2026-11-24T10:00:00Z");
    const later = after(errand, { came: "later", said: "busy", afterSeconds: 90 }, now);
    expect(later.notBefore - now.getTime()).toBe(90_000);
    expect(due([later], now.getTime() + 89_999)).toEqual([]);
    expect(due([later], now.getTime() + 90_000)).toEqual([later]);
    expect([1, 3, 30].map((attempts) => waitMs(attempts, () => 1))).toEqual([4000, 16_000, 600_000]);
  });

  it("leaves a conflict to a person: mine is written over, or stays unsent", async () => {
    const draft = await written(1, 0);
    service.reports.set(draft.reportId, { versions: ["of another phone"] });
    await sendReport(draft);
    await flush(true);
    expect(errands.value.map((one) => one.state)).toEqual(["conflict"]);
    await flush(true);
    expect(service.reports.get(draft.reportId)?.versions).toHaveLength(1);
    await resolveConflict(draft.reportId, "mine");
    await untilSent();
    expect(service.reports.get(draft.reportId)?.versions).toHaveLength(2);

    const other = await written(2, 1);
    service.reports.set(other.reportId, { versions: ["of another phone"] });
    await sendReport(other);
    await flush(true);
    await resolveConflict(other.reportId, "theirs");
    expect(errands.value.filter((one) => one.alertId === "ALERT-2").map((one) => one.state)).toEqual([
      "dropped",
      "dropped",
    ]);
    expect(service.reports.get(other.reportId)?.versions).toHaveLength(1);
  });

  it("sends a review once, however often it is sent", async () => {
    service.lost = 0.7;
    await sendReview("ALERT-1", { state: "confirmed" });
    await untilSent();
    expect([...service.reviews.values()]).toEqual(['{"state":"confirmed"}']);
  });

  it("lets go of what a person leaves, and of nothing that was sent", async () => {
    service.lost = 1;
    const draft = await written(1, 1);
    await sendReport(draft);
    await drop(draft.reportId);
    expect(errands.value.map((one) => one.state)).toEqual(["dropped", "dropped"]);
    expect(await photoOf(draft.photos[0]?.id ?? "")).toBeNull();
    service.lost = 0;
    await flush(true);
    expect(service.reports.size).toBe(0);
  });
});

describe("a draft", () => {
  it("is found again by its alert, with its pictures", async () => {
    const draft = await written(3, 1);
    await forget();
    const found = await draftOf("ALERT-3");
    expect(found?.answers).toEqual({ comment: "visite 3" });
    expect((await photoOf(draft.photos[0]?.id ?? ""))?.size).toBe(draft.photos[0]?.bytes);
  });

  it("stays as it was where the device is full", async () => {
    const draft = await written(4, 0);
    const db = await database();
    const full = vi.spyOn(db, "transaction").mockImplementation(() => {
      throw new DOMException("full", "QuotaExceededError");
    });
    await expect(addPhoto(draft, "cut", picture(1))).rejects.toThrow(NoRoom);
    full.mockRestore();
    expect((await draftOf("ALERT-4"))?.photos).toEqual([]);
  });
});
