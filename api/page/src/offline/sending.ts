/** One errand, sent: what came of it is told, never thrown. */
import { ask, NotReached, Refused, ROOT } from "../server/client";
import type { Errand } from "./errands";

export type Outcome =
  | { came: "sent" }
  /** To be tried again: after some seconds, where the service says how many. */
  | { came: "later"; said?: string; afterSeconds?: number }
  | { came: "sign in"; said: string }
  | { came: "conflict"; said: string }
  | { came: "refused"; said: string };

const PART_BYTES = 512 * 1024;

/** Send an errand; `photo` gives the picture of one. */
export async function send(errand: Errand, photo: (id: string) => Promise<Blob | null>): Promise<Outcome> {
  try {
    if (errand.what === "report") await ask(`reports/${errand.id}`, { method: "PUT", body: errand.body });
    else if (errand.what === "review") {
      const headers = { "Idempotency-Key": errand.id };
      await ask(`alerts/${encodeURIComponent(errand.alertId)}/reviews`, { method: "POST", body: errand.body, headers });
    } else {
      const picture = await photo(errand.id);
      if (picture === null) return { came: "refused", said: "The picture is no longer on the device." };
      await sendPhoto(errand.id, errand.reportId, errand.kind, picture);
    }
    return { came: "sent" };
  } catch (error) {
    return outcomeOf(error);
  }
}

/** What a refusal means for what was sent. */
export function outcomeOf(error: unknown): Outcome {
  if (error instanceof NotReached) return { came: "later" };
  if (!(error instanceof Refused)) return { came: "later", said: String(error) };
  const said = error.message;
  if (error.status === 401 || error.status === 403) return { came: "sign in", said };
  if (error.status === 409) return { came: "conflict", said };
  // 507: no room for photos there; 423: another request adds to the same photo.
  const passes = error.status >= 500 || [408, 423, 425, 429].includes(error.status);
  if (!passes) return { came: "refused", said };
  return error.retryAfterSeconds === null
    ? { came: "later", said }
    : { came: "later", said, afterSeconds: error.retryAfterSeconds };
}

/**
 * Send a photo by the tus protocol 1.0. Begun again under the same UUID it goes on where it was, also after the browser
 * or the service died: the service tells how much it has.
 */
async function sendPhoto(id: string, reportId: string, kind: string, picture: Blob): Promise<void> {
  const told = { id, report: reportId, kind };
  const metadata = Object.entries(told).map(([name, value]) => `${name} ${btoa(value)}`);
  const tus = { "Tus-Resumable": "1.0.0" };
  const begun = await ask("photos", {
    method: "POST",
    headers: { ...tus, "Upload-Length": String(picture.size), "Upload-Metadata": metadata.join(",") },
  });
  let offset = offsetOf(begun);
  while (offset < picture.size) {
    const part = await ask(`${ROOT}/photos/uploads/${id}`, {
      method: "PATCH",
      headers: { ...tus, "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" },
      bytes: picture.slice(offset, offset + PART_BYTES),
    });
    const now = offsetOf(part);
    if (now <= offset) throw new NotReached(`nothing was added after ${offset} bytes`);
    offset = now;
  }
}

function offsetOf(response: Response): number {
  const offset = Number(response.headers.get("Upload-Offset"));
  if (!Number.isInteger(offset) || offset < 0) throw new NotReached("an answer without Upload-Offset");
  return offset;
}
