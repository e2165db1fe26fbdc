/** The service, asked over HTTP: one way to ask, one kind of refusal. */
import type { components } from "./schema";

export type Schemas = components["schemas"];
export const ROOT = "/api/v1";

/** What the service refused, with its sentence (code and description, as OGC API - Features has them). */
export class Refused extends Error {
  constructor(
    readonly status: number,
    sentence: string,
    /** Seconds after which to try again, where the service says so. */
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(sentence);
    this.name = "Refused";
  }
}

/** The service was not reached: no network, or it is down. */
export class NotReached extends Error {
  constructor(cause: unknown) {
    super("not reached", { cause });
    this.name = "NotReached";
  }
}

let csrf: string | null = null;

/** The session's token against forged requests, told by the service at sign-in and by `/auth/me`. */
export function keepCsrf(token: string | null): void {
  csrf = token;
}

export type Asked = {
  method?: string;
  body?: unknown;
  bytes?: Blob;
  headers?: Record<string, string>;
  signal?: AbortSignal;
};

/** Ask, and give the answer as it is; throws `Refused` or `NotReached`. */
export async function ask(path: string, asked: Asked = {}): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json", ...asked.headers };
  if (asked.body !== undefined) headers["Content-Type"] = "application/json";
  if (csrf !== null && asked.method !== undefined && asked.method !== "GET") headers["X-CSRF-Token"] = csrf;
  const init: RequestInit = { method: asked.method ?? "GET", headers, credentials: "same-origin" };
  if (asked.body !== undefined) init.body = JSON.stringify(asked.body);
  if (asked.bytes !== undefined) init.body = asked.bytes;
  if (asked.signal !== undefined) init.signal = asked.signal;
  let response: Response;
  try {
    response = await fetch(path.startsWith("/") ? path : `${ROOT}/${path}`, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new NotReached(error);
  }
  if (!response.ok) {
    const told = await response.json().catch(() => null);
    const after = Number(response.headers.get("Retry-After") ?? Number.NaN);
    throw new Refused(response.status, told?.description ?? response.statusText, Number.isFinite(after) ? after : null);
  }
  return response;
}

/** Ask, and give what the JSON says; null where the answer has none. */
export async function askJson<T>(path: string, asked: Asked = {}): Promise<T> {
  const response = await ask(path, asked);
  return (response.status === 204 ? null : await response.json()) as T;
}
