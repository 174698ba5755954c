import { describe, expect, it } from "vitest";
import { expectationOf, FIRST } from "../src/selection.ts";
import type { Site } from "../src/wire.ts";

const site = (kind: Site["kind"], flag = ""): Site =>
  ({ kind, flags: flag ? [{ kind: flag, count: 1, where: [] }] : [] }) as unknown as Site;

describe("the expectation that nobody chose", () => {
  it.each([
    ["of words that a decoder reads", site("cross"), false, "one"],
    ["of words that look at each other", site("encoder"), false, "one"],
    ["of patches", site("cross"), true, "none"],
    ["of what a decoder wrote itself", site("decoder"), false, "none"],
    ["of a mask", site("cross", "mask"), false, "none"],
    ["of nothing", undefined, false, "none"],
  ] as const)("%s", (_, of, isScene, expected) => {
    expect(expectationOf(FIRST, of, isScene)).toBe(expected);
  });

  it("gives way to a choice", () => {
    expect(expectationOf({ ...FIRST, expectation: "ratio" }, site("decoder"), true)).toBe("ratio");
  });
});
