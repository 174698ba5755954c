import { describe, expect, it } from "vitest";
import { axis, cellAt, cellOf, every, middle, pooled, tokensOf, zoomed } from "../src/scales.ts";

describe("an axis", () => {
  it("gives each token a cell of its own where there is room", () => {
    expect(axis(8, 672, 3, 84)).toEqual({ first: 0, end: 8, per: 1, nCells: 8, size: 84 });
  });

  it("never makes cells wider than asked", () => {
    expect(axis(3, 900, 3, 120).size).toBe(120);
  });

  it("puts several tokens in a cell where single ones would be too small", () => {
    const wide = axis(1000, 600, 3, 120);
    expect(wide.per).toBe(8);
    expect(wide.nCells * wide.size).toBeLessThanOrEqual(600);
    expect(tokensOf(wide, wide.nCells - 1)).toEqual([992, 1000]);
  });

  it.each([1, 2, 7, 64, 333, 2048])("finds every one of %i tokens in the cell that holds it", (n) => {
    const found = axis(n, 500, 3, 100);
    for (let token = 0; token < n; token++) {
      const [from, to] = tokensOf(found, cellOf(found, token));
      expect(token >= from && token < to).toBe(true);
      expect(cellAt(found, middle(found, token))).toBe(cellOf(found, token));
    }
  });

  it("knows nothing outside its window", () => {
    const part = axis(100, 500, 3, 100, { first: 40, count: 10 });
    expect([cellOf(part, 39), cellOf(part, 40), cellOf(part, 50)]).toEqual([-1, 0, -1]);
    expect([cellAt(part, -1), cellAt(part, 501)]).toEqual([-1, -1]);
  });

  it("lays out nothing without breaking", () => {
    expect(axis(0, 500, 3, 100).nCells).toBe(0);
  });
});

describe("pooling", () => {
  it("never loses a spike", () => {
    const row = new Float32Array(1000);
    row[777] = 0.9;
    const found = axis(1000, 300, 3, 100);
    expect(pooled(found, row)[cellOf(found, 777)]).toBeCloseTo(0.9);
  });

  it("is NaN only where every value is", () => {
    const found = axis(4, 6, 3, 3);
    expect([...pooled(found, [Number.NaN, 1, Number.NaN, Number.NaN])]).toEqual([1, Number.NaN]);
  });
});

describe("zooming", () => {
  it("stays inside, keeps the centre, and ends at everything", () => {
    const half = zoomed(100, null, 0.5, 90);
    expect(half).toEqual({ first: 50, count: 50 });
    expect(zoomed(100, half, 2, 60)).toBeNull();
    expect(zoomed(5, { first: 0, count: 4 }, 0.5, 0)?.count).toBe(4);
  });

  it("thins labels to the room that they need", () => {
    expect([every(84, 40), every(10, 12), every(3, 12)]).toEqual([1, 2, 4]);
  });
});
