import { describe, expect, it } from "vitest";
import { roomAt } from "./rooms";

describe("roomAt", () => {
  it("gives a room what its address names", () => {
    expect(roomAt("/alertes/31TCJ-12%2F3/fiche")?.params).toEqual({ id: "31TCJ-12/3" });
    expect(roomAt("/")?.room.pattern).toBe("/");
  });
  it("knows no room beside those named", () => {
    expect(roomAt("/alertes")).toBeNull();
    expect(roomAt("/alertes/a/b/c")).toBeNull();
  });
});
