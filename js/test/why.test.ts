import { describe, expect, it } from "vitest";
import { empty, merged, type Matrix } from "../src/matrix.ts";
import { stepsOf } from "../src/views/why-steps.ts";
import { en } from "../src/words/en.ts";
import { PictureError } from "../src/blocks.ts";
import { readPicture, type Terms } from "../src/wire.ts";
import type { TermsData } from "../src/wire.gen.ts";
import { block, header, pack } from "./picture.ts";

const terms = (change: Partial<Terms> = {}): Terms => ({
  site: 0,
  head: 0,
  query: 0,
  form: "",
  scale: 1,
  softcap: null,
  sink: null,
  arrays: { scores: Float32Array.of(1, 2, Number.NEGATIVE_INFINITY) },
  ...change,
});
const steps = (of: Terms | undefined, key: number, matrix: Matrix | null, query: number) =>
  stepsOf(of, key, matrix, query, en);
const weights = (...values: number[]) => merged(empty(), block(0, [values]), { nQueries: 1, nKeys: values.length });

describe("the way to a weight", () => {
  it("is the softmax of the scores", () => {
    expect(steps(terms(), 1, null, 0)?.weight).toBeCloseTo(1 / (1 + Math.exp(-1)));
    expect(steps(terms(), 2, null, 0)?.weight).toBe(0);
  });

  it("gives a sink its share", () => {
    const even = { arrays: { scores: Float32Array.of(0, 0, 0) }, sink: 0 };
    expect(steps(terms(even), 0, null, 0)?.weight).toBeCloseTo(0.25);
  });

  it("shows a dot product from query and key to the score", () => {
    const arrays = { scores: Float32Array.of(5.5, 0), query: Float32Array.of(1, 2), keys: Float32Array.of(3, 4, 0, 0) };
    const found = steps(terms({ form: "dot", scale: 0.5, arrays }), 0, null, 0);
    expect(found?.rows.map((row) => [...row.values])).toEqual([
      [1, 2],
      [3, 4],
      [3, 8],
    ]);
    expect(found?.steps.slice(0, 3)).toEqual([
      ["query · key, the sum of their products", "11.0000"],
      ["scaled: times 0.500000", "5.50000"],
      ["score", "5.50000"],
    ]);
  });

  it("shows an additive score from the two sides of the sum", () => {
    const arrays = {
      scores: Float32Array.of(0.1, 0.2),
      query: Float32Array.of(0.5, 0),
      pairs: Float32Array.of(0, 0, 1.5, 1),
      vector: Float32Array.of(2, -1),
    };
    const found = steps(terms({ form: "additive", arrays }), 1, null, 0);
    expect(found?.rows[0]?.name).toBe("W s");
    expect([...(found?.rows[1]?.values ?? [])]).toEqual([1, 1]);
    expect(Number(found?.steps[0]?.[1])).toBeCloseTo(2 * Math.tanh(1.5) - Math.tanh(1), 4);
  });

  it("says what was not recorded", () => {
    expect(steps(undefined, 0, null, 0)).toBeNull();
    expect(steps(terms({ arrays: {} }), 0, weights(0.5), 0)?.steps).toEqual([
      ["Not recorded: scores, query and key. The model handed over weights only.", ""],
      ["recorded weight", "0.500000"],
    ]);
    expect(steps(terms(), 0, null, 0)?.steps[0]?.[0]).toBe("Not recorded: what the score came of.");
  });

  it("says when a weight was changed after the softmax", () => {
    const changed = (value: number) =>
      steps(terms(), 1, weights(0.2, value, 0), 0)?.steps.some(([name]) => name.startsWith("changed after"));
    expect([changed(0.731), changed(0.3)]).toEqual([false, true]);
  });

  it("knows keys that came later than the row", () => {
    expect(steps(terms(), 7, null, 0)?.weight).toBe(0);
  });
});

describe("terms in a picture", () => {
  const told: TermsData = {
    site: 0,
    head: 0,
    query: 0,
    form: "",
    scale: 1,
    softcap: null,
    sink: null,
    arrays: [{ name: "scores", shape: [5], offset: 0 }],
  };
  const data = (change: Partial<TermsData["arrays"][number]> = {}) =>
    pack(header(1, { terms: [{ ...told, arrays: [{ name: "scores", shape: [5], offset: 0, ...change }] }] }), [
      { rows: [[1, 2, 3, 4, 5]] },
    ]);

  it("are read from behind the header", () => {
    expect([...(readPicture(data()).terms[0]?.arrays.scores ?? [])]).toEqual([1, 2, 3, 4, 5]);
  });

  it.each([{ offset: 4 }, { shape: [6] }, { shape: [-1] }, { shape: [2 ** 40, 2 ** 40] }, { offset: -4 }])(
    "refuses %o",
    (lie) => {
      expect(() => readPicture(data(lie))).toThrow(PictureError);
    },
  );
});
