/** A service for the tests, behind a network that loses requests on a seed: before they arrive, or their answers. */

/** Numbers between 0 and 1 that a seed gives (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

type Upload = { length: number; parts: Uint8Array };

export class FakeService {
  /** Bodies by UUID, each with how often it was taken for new. */
  readonly reports = new Map<string, { versions: string[] }>();
  readonly photos = new Map<string, Upload>();
  readonly reviews = new Map<string, string>();
  /** Answers to give in place of the true ones, by method and beginning of the path. */
  readonly instead: { method: string; path: string; status: number; times: number; headers?: HeadersInit }[] = [];
  asked = 0;

  constructor(
    private readonly random: () => number,
    public lost = 0.5,
  ) {}

  /** In the place of `fetch`. */
  readonly fetch = async (input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> => {
    this.asked += 1;
    const lostAt = this.random() < this.lost ? this.random() : null;
    if (lostAt !== null && lostAt < 0.5) throw new TypeError("Failed to fetch");
    const answer = await this.answer(init.method ?? "GET", String(input), init);
    if (lostAt !== null) throw new TypeError("Failed to fetch");
    return answer;
  };

  private async answer(method: string, path: string, init: RequestInit): Promise<Response> {
    const other = this.instead.find((one) => one.times > 0 && one.method === method && path.includes(one.path));
    if (other !== undefined) {
      other.times -= 1;
      return Response.json(
        { description: `refused with ${other.status}` },
        { status: other.status, headers: other.headers ?? {} },
      );
    }
    const headers = new Headers(init.headers);
    const last = decodeURIComponent(path.split("/").at(-1) ?? "");
    if (path.endsWith("/auth/me"))
      return Response.json({ name: "Zoé", role: "volunteer", rights: ["report"], departements: [] });
    if (method === "PUT" && path.includes("/reports/")) return this.takeReport(last, String(init.body));
    if (method === "GET" && path.includes("/reports/")) {
      const versions = this.reports.get(last)?.versions ?? [];
      return Response.json({ reports: versions.map((_, i) => ({ id: last, version: i + 1 })) });
    }
    if (method === "POST" && path.endsWith("/reviews")) {
      const key = headers.get("Idempotency-Key") ?? "";
      const known = this.reviews.has(key);
      this.reviews.set(key, String(init.body));
      return Response.json({}, { status: known ? 200 : 201 });
    }
    if (method === "POST" && path.endsWith("/photos")) return this.beginPhoto(headers);
    if (method === "PATCH") return this.takePart(last, headers, init.body as Blob);
    return Response.json({ description: `nothing at ${path}` }, { status: 404 });
  }

  private takeReport(id: string, text: string): Response {
    const { of_version, ...body } = JSON.parse(text);
    const content = JSON.stringify(body);
    const known = this.reports.get(id);
    if (known?.versions.at(-1) === content) return Response.json({ id, version: known.versions.length });
    if (known !== undefined && of_version !== known.versions.length) {
      return Response.json({ description: "another version came in between" }, { status: 409 });
    }
    this.reports.set(id, { versions: [...(known?.versions ?? []), content] });
    return Response.json({ id, version: known === undefined ? 1 : known.versions.length }, { status: 201 });
  }

  private beginPhoto(headers: Headers): Response {
    const told = Object.fromEntries(
      (headers.get("Upload-Metadata") ?? "").split(",").map((part) => {
        const [name = "", value = ""] = part.split(" ");
        return [name, atob(value)];
      }),
    );
    if (!this.reports.has(told.report ?? ""))
      return Response.json({ description: "send the report first" }, { status: 404 });
    const upload = this.photos.get(told.id ?? "") ?? {
      length: Number(headers.get("Upload-Length")),
      parts: new Uint8Array(),
    };
    this.photos.set(told.id ?? "", upload);
    return new Response(null, { status: 201, headers: { "Upload-Offset": String(upload.parts.length) } });
  }

  private async takePart(id: string, headers: Headers, part: Blob): Promise<Response> {
    const upload = this.photos.get(id);
    if (upload === undefined) return Response.json({ description: "no such upload" }, { status: 404 });
    if (Number(headers.get("Upload-Offset")) !== upload.parts.length) {
      return Response.json({ description: "not the offset" }, { status: 409 });
    }
    const bytes = new Uint8Array(await part.arrayBuffer());
    // A line that breaks: half of a part arrives.
    const arrived = this.random() < this.lost / 2 ? bytes.slice(0, bytes.length >> 1) : bytes;
    upload.parts = new Uint8Array([...upload.parts, ...arrived]);
    if (arrived.length < bytes.length) throw new TypeError("Failed to fetch");
    return new Response(null, { status: 204, headers: { "Upload-Offset": String(upload.parts.length) } });
  }
}
