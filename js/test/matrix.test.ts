import { describe, expect, it } from "vitest";
import { Precision, type Block } from "../src/blocks.ts";
import {
  at,
  empty,
  entropy,
  mean,
  merged as mergedInto,
  strength,
  strongest,
  worst,
  type Matrix,
} from "../src/matrix.ts";
import { block } from "./picture.ts";

const merged = (matrix: Matrix, block: Block) => mergedInto(matrix, block, { nQueries: 0, nKeys: 0 });
const rounded = { precision: Precision.Rounded };

describe("a matrix", () => {
  it("is the same whatever the order in which rows come, and however often", () => {
    const rows = [
      [1, 2, 3],
      [4, 5, 6],
      [7, 8, 9],
      [10, 11, 12],
    ];
    const inOrder = rows.reduce((m, r, q) => merged(m, block(q, [r])), empty());
    for (const order of [
      [3, 2, 1, 0],
      [1, 1, 3, 0, 2, 0],
      [2, 0, 3, 1],
    ])
      expect(order.reduce((m, q) => merged(m, block(q, [rows[q] ?? []])), empty())).toEqual(inOrder);
  });

  it("marks rows that did not come", () => {
    const matrix = merged(merged(empty(), block(0, [[1, 0]])), block(2, [[0, 1]]));
    expect(worst(matrix)).toBe(Precision.Missing);
    expect(at(matrix, 1, 0)).toBeNaN();
  });

  it("keeps a better row when a worse one comes", () => {
    const exact = merged(empty(), block(0, [[0.123, 0.877]]));
    expect(at(merged(exact, block(0, [[0.12, 0.88]], rounded)), 0, 0)).toBeCloseTo(0.123);
  });

  it("takes a better row over a worse one", () => {
    const worse = merged(empty(), block(0, [[0.12, 0.88]], rounded));
    expect(at(merged(worse, block(0, [[0.123, 0.877]])), 0, 0)).toBeCloseTo(0.123);
  });

  it("keeps what it had while rows come one by one, in any number", () => {
    let matrix = empty();
    for (let q = 0; q < 50; q++) matrix = merged(matrix, block(q, [[q, 1, 2]]));
    expect([matrix.nQueries, matrix.values.length]).toEqual([50, 150]);
    expect(Array.from({ length: 50 }, (_, q) => at(matrix, q, 0))).toEqual(Array.from({ length: 50 }, (_, q) => q));
    expect(at(merged(matrix, block(52, [[9, 9, 9]])), 51, 0)).toBeNaN();
  });

  it("grows along the keys; earlier rows have 0 there", () => {
    const matrix = merged(merged(empty(), block(0, [[1]])), block(1, [[0.5, 0.5]]));
    expect([at(matrix, 0, 0), at(matrix, 0, 1), at(matrix, 1, 1)]).toEqual([1, 0, 0.5]);
  });
});

describe("numbers read off it", () => {
  const matrix = merged(
    empty(),
    block(0, [
      [0.5, 0.5, 0],
      [0, 1, 0],
      [Number.NaN, 0.2, 0.8],
    ]),
  );

  it("strength sums the first steps, and skips what is not finite", () => {
    expect([...strength(matrix, 2)]).toEqual([0.5, 1.5, 0]);
    expect(strength(matrix, 3)[1]).toBeCloseTo(1.7);
  });

  it("strength up to any step, asked for in any order, is what adding row by row gives, to the bit", () => {
    const rows = Array.from({ length: 150 }, (_, q) => [0.1 / (q + 1), q === 70 ? Number.NaN : 1 / 3, q / 7]);
    const matrix = merged(empty(), block(0, rows));
    for (const n of [150, 3, 64, 63, 128, 65, 0, 999]) {
      const sums = [0, 0, 0];
      for (const row of rows.slice(0, n))
        for (const [k, weight] of row.entries())
          if (Number.isFinite(weight)) sums[k] = (sums[k] ?? 0) + Math.fround(weight);
      expect([...strength(matrix, n)]).toEqual(sums);
    }
  });

  it("strength hears of rows that come later", () => {
    const before = merged(empty(), block(0, [[1, 0]]));
    expect([...strength(before, 9)]).toEqual([1, 0]);
    expect([...strength(merged(before, block(1, [[0, 1]])), 9)]).toEqual([1, 1]);
  });

  it("entropy is 0 for one weight and log2(n) for equal ones", () => {
    expect(entropy(Float32Array.from([0, 1, 0]))).toBe(0);
    expect(entropy(Float32Array.from([0.25, 0.25, 0.25, 0.25]))).toBe(2);
  });

  it("the strongest come first, and only those that are above 0", () => {
    expect(strongest(Float32Array.from([0.1, 0, 0.7, Number.NaN, 0.2]), 9)).toEqual([2, 4, 0]);
  });

  it("of equal ones the first comes first", () => {
    expect(strongest(Float32Array.from([0.2, 0.3, 0.2, 0.3, 0.3, Number.NaN, Infinity]), 3)).toEqual([1, 3, 4]);
  });

  it("the mean is that of the heads", () => {
    const heads = [block(0, [[1, 0]]), block(0, [[0.5, 0.5]])].map((each) => merged(empty(), each));
    expect([...(mean(heads.map((head) => () => head))?.values ?? [])]).toEqual([0.75, 0.25]);
  });

  it("the mean over heads waits until each head has its rows", () => {
    const other = merged(empty(), block(0, [[0, 1, 0]]));
    const meanOf = (...heads: (Matrix | undefined)[]) => mean(heads.map((head) => () => head));
    expect(meanOf(matrix, undefined)).toBeNull();
    expect(meanOf(matrix, other)).toBeNull();
    expect(at(meanOf(other, merged(empty(), block(0, [[1, 0, 0]]))) ?? empty(), 0, 0)).toBe(0.5);
  });
});
