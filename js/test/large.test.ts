import { describe, expect, it } from "vitest";
import { Precision, type Block, type Span } from "../src/blocks.ts";
import {
  bytesOf,
  cellsOfLarge,
  covers,
  columnOf,
  nothing,
  rowOf,
  strongestOf,
  sumsOf,
  withBlock,
  withSums,
  type Large,
} from "../src/large.ts";
import { at, empty, merged, precisionOf, row, summed } from "../src/matrix.ts";
import { axis } from "../src/scales.ts";
import { block } from "./picture.ts";

const N = 8;
const whole = Array.from({ length: N }, (_, q) => Array.from({ length: N }, (_, k) => ((q * 5 + k * 3) % 17) / 16));
const rows = (first: number, end: number) => block(first, whole.slice(first, end));

/** The cells of a rectangle, as the kernel makes them. */
function cells(queries: Span, keys: Span, change: Partial<Block> = {}): Block {
  const most = (q: number, k: number) =>
    Math.max(
      ...whole
        .slice(q, Math.min(q + queries.per, queries.end))
        .flatMap((r) => r.slice(k, Math.min(k + keys.per, keys.end))),
    );
  const values: number[] = [];
  for (let q = queries.first; q < queries.end; q += queries.per)
    for (let k = keys.first; k < keys.end; k += keys.per) values.push(most(q, k));
  return block(0, [], {
    queries,
    keys,
    whole: false,
    precision: Precision.Pooled,
    values: () => Float32Array.from(values),
    ...change,
  });
}

const all = (per: number): Span => ({ first: 0, end: N, per });
const taken = (...blocks: Block[]): Large => blocks.reduce((large, each) => withBlock(large, each, N), nothing());
const f32 = (values: number[]) => [...Float32Array.from(values)];

describe("a large head", () => {
  it("has a row as it is where it came, and the largest weights around it where not", () => {
    const large = taken(cells(all(4), all(2)), rows(3, 4));
    expect([...rowOf(large, 3, N)]).toEqual(f32(whole[3] ?? []));
    const guess = rowOf(large, 2, N);
    expect([...guess].every((value, k) => value >= Math.fround(whole[2]?.[k] ?? 0))).toBe(true);
    expect(guess[0]).toBe(guess[1]);
  });

  it("knows nothing of what did not come", () => {
    expect([...rowOf(nothing(), 0, 3)]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  });

  it("draws fine cells over coarse ones, in whatever order they come", () => {
    const fine = cells({ first: 2, end: 6, per: 1 }, { first: 4, end: 8, per: 1 }, { precision: Precision.Exact });
    for (const large of [taken(cells(all(4), all(4)), fine), taken(fine, cells(all(4), all(4)))]) {
      const drawn = cellsOfLarge(large, axis(N, 800, 3, 100), axis(N, 800, 3, 100));
      expect(drawn[3 * N + 5]).toBe(Math.fround(whole[3]?.[5] ?? 0));
      expect(drawn[0]).toBe(Math.fround(Math.max(...whole.slice(0, 4).flatMap((r) => r.slice(0, 4)))));
    }
  });

  it("makes coarser cells of finer ones without error", () => {
    const drawn = cellsOfLarge(taken(cells(all(2), all(1))), axis(N, 6, 3, 100), axis(N, 12, 3, 100));
    expect([...drawn]).toEqual([...cells(all(4), all(2)).values()]);
  });

  it("keeps an exact picture when a sampled one comes later", () => {
    const large = taken(
      cells(all(4), all(4)),
      cells(all(4), all(4), { sampled: true, values: () => new Float32Array(4) }),
    );
    expect(large.planes.map((plane) => plane.sampled)).toEqual([false]);
    expect(large.planes[0]?.values[0]).toBeGreaterThan(0);
  });

  it("has the weights on a key from rows and cells", () => {
    const column = columnOf(taken(cells(all(4), all(4)), rows(0, 1)), 2, N);
    expect(column[0]).toBe(Math.fround(whole[0]?.[2] ?? 0));
    expect(column[7]).toBe(cells(all(4), all(4)).values()[2]);
  });

  it("points at the strongest weight that it knows", () => {
    const [q, k] = strongestOf(taken(cells(all(4), all(4)), rows(2, 3)), [0, 4], [0, 8], N);
    expect([q, whole[2]?.[k]]).toEqual([2, Math.max(...(whole[2] ?? []))]);
  });

  it("sums up to a step from the nearest sums, where the rows between are there", () => {
    const sums = { site: 0, head: 0, nSteps: 4, values: Float32Array.from({ length: N }, (_, k) => total(4, k)) };
    const large = withSums(taken(rows(2, 6)), sums);
    for (const n of [2, 4, 6]) {
      const found = sumsOf(large, n);
      expect(found?.nSteps).toBe(n);
      expect(found?.values[3]).toBeCloseTo(total(n, 3), 5);
    }
    expect(sumsOf(large, 8)?.nSteps).toBe(4);
    expect(sumsOf(nothing(), 3)).toBeNull();
  });

  it("draws rows behind the cells that came, in cells as large as those", () => {
    const known: Span = { first: 0, end: 5, per: 2 };
    const large = taken(cells(known, all(2)), rows(5, 7));
    const shown = { queries: { first: 0, end: 7, per: 2 }, keys: all(2) };
    expect(large.planes.some((plane) => covers(large, plane, shown))).toBe(true);
    expect(large.planes.some((plane) => covers(large, plane, { ...shown, queries: all(2) }))).toBe(false);
    const most = (r: number, c: number) =>
      Math.max(...whole.slice(2 * r, Math.min(2 * r + 2, 7)).flatMap((row) => row.slice(2 * c, 2 * c + 2)));
    const expected = Array.from({ length: 16 }, (_, i) => most(Math.floor(i / 4), i % 4));
    expect([...cellsOfLarge(large, axis(7, 7, 2, 100), axis(N, N, 2, 100))]).toEqual(f32(expected));
  });

  it("is bounded, whatever comes", () => {
    const width = 2 ** 16;
    const wide = (q: number) => block(q, [[1]], { keys: { first: 0, end: 1, per: 1 } });
    let large = nothing();
    for (let q = 0; q < 100; q++) large = withBlock(large, wide(q), width);
    for (let q = 0; q < 50; q++) {
      large = withBlock(large, cells({ first: q % N, end: N, per: 1 + q }, all(2)), width);
      large = withSums(large, { site: 0, head: 0, nSteps: q, values: new Float32Array(4) });
    }
    expect(bytesOf(large)).toBeLessThan(2 ** 23);
    expect([large.rows.has(99), large.rows.has(0), large.planes.length, large.sums.length]).toEqual([
      true,
      false,
      12,
      24,
    ]);
  });
});

const total = (n: number, k: number) => whole.slice(0, n).reduce((sum, r) => sum + (r[k] ?? 0), 0);

describe("a matrix of a large head", () => {
  const shape = { nQueries: N, nKeys: N };
  const matrix = merged(merged(empty(), cells(all(4), all(4)), shape), rows(3, 4), shape);

  it("is read like any other", () => {
    expect([at(matrix, 3, 2), row(matrix, 3).length]).toEqual([Math.fround(whole[3]?.[2] ?? 0), N]);
    expect([precisionOf(matrix, 3), precisionOf(matrix, 0)]).toEqual([Precision.Exact, Precision.Pooled]);
    expect(summed(matrix, 3)).toEqual({ nSteps: 0, values: new Float64Array(N) });
  });

  it("becomes whole when all of it comes", () => {
    const all = merged(matrix, rows(0, N), shape);
    expect([all.large, at(all, 7, 7)]).toEqual([null, Math.fround(whole[7]?.[7] ?? 0)]);
  });
});
