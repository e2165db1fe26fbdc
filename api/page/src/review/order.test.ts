import { describe, expect, it } from "vitest";
import type { AlertFeature } from "../alert/feature";
import { REASONS } from "../alert/reviewing";
import { actOf, following, keyOf, queueAddress } from "./order";

const queue = ["a", "b", "c"].map((id) => ({ id }) as AlertFeature);

describe("a queue of reviews", () => {
  it("asks for what waits, the most suspect first", () => {
    expect(queueAddress("-abuse_score", "40")).toBe(
      "/api/v1/collections/alerts/items?review=to_review&sortby=-abuse_score&limit=50&departement=40",
    );
  });
  it("goes on to what is not decided, around the end", () => {
    expect(following(queue, 0, new Set(["a"]))).toBe(1);
    expect(following(queue, 2, new Set(["c", "a"]))).toBe(1);
    expect(following(queue, 1, new Set(["a", "b", "c"]))).toBe(1);
  });
  it("takes keys, capitals too; digits are reasons only where one is asked for", () => {
    expect(actOf("C", false)).toEqual({ do: "decide", state: "confirmed" });
    expect(actOf("1", false)).toBeNull();
    expect(actOf("c", true)).toBeNull();
    expect(REASONS.map((_, i) => actOf(keyOf(i), true))).toEqual(REASONS.map((reason) => ({ do: "reason", reason })));
    expect(actOf("Escape", true)).toEqual({ do: "cancel" });
  });
});
