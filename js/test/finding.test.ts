import { describe, expect, it } from "vitest";
import { around } from "../src/scales.ts";
import { placesOf } from "../src/views/finding.ts";

const keys = ["The", "cat", "sat", "on", "the", "mat"];

describe("a search", () => {
  it("finds all tokens that hold the text, whatever their case", () => {
    expect(placesOf(keys, keys, "the").map(({ token }) => token)).toEqual([0, 4]);
  });

  it("finds other tokens of the queries too", () => {
    expect(placesOf(keys, ["Die", "Katze", "sat"], "sat")).toEqual([
      { axis: "keys", token: 2 },
      { axis: "queries", token: 2 },
    ]);
  });

  it("of nothing finds nothing, and takes signs as they are", () => {
    expect(placesOf(keys, keys, "")).toEqual([]);
    expect(placesOf(["a.c", "abc"], [], "a.c").map(({ token }) => token)).toEqual([0]);
  });
});

describe("a window around a token", () => {
  it.each([
    [100, 10, 50, { first: 45, count: 10 }],
    [100, 10, 2, { first: 0, count: 10 }],
    [100, 10, 99, { first: 90, count: 10 }],
    [10, 10, 5, null],
  ])("of %i, %i long at %i", (n, count, centre, window) => {
    expect(around(n, count, centre)).toEqual(window);
  });
});
