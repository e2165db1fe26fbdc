/** For the tests: Node's own Blob and File, which the fake IndexedDB can copy; those of happy-dom lose their bytes. */
const { Blob, File } = (await import("node:buffer" as string)) as typeof globalThis;
Object.assign(globalThis, { Blob, File });

export {};
