import { describe, expect, it } from "vitest";
import { absentmindedness, coverageDeviation, row, type Matrix } from "../src/matrix.ts";
import { specialKeys, without } from "../src/special.ts";

const matrix = (rows: number[][]): Matrix => ({
  nQueries: rows.length,
  nKeys: rows[0]?.length ?? 0,
  values: Float32Array.from(rows.flat()),
  precision: new Uint8Array(rows.length).fill(3),
  large: null,
});
const even = matrix([
  [0.5, 0.5],
  [0.5, 0.5],
]);

describe("special keys", () => {
  it.each(["[CLS]", "</s>", "<|endoftext|>", "<|im start|>", "<extra_id_7>", "<pad>"])(
    "knows %s by its text",
    (token) => {
      expect(specialKeys(["a", token], even)).toEqual([1]);
    },
  );

  it.each(["<0x0A>", "[1]", "<b>", "", "s", "[UNK]", "<script>", "<|", "|>"])("takes %s for text", (token) => {
    expect(specialKeys(["a", token], even)).toEqual([]);
  });

  it("finds a sink in eight rows and not in seven", () => {
    const sink = [0.15, 0.15, 0.15, 0.4, 0.15];
    expect(specialKeys([], matrix(Array(8).fill(sink)))).toEqual([3]);
    expect(specialKeys([], matrix(Array(7).fill(sink)))).toEqual([]);
  });
});

describe("leaving out", () => {
  it("shares out what is left out, and keeps the sum of the row", () => {
    const kept = without(
      matrix([
        [0.5, 0.25, 0.25],
        [0.2, 0.2, 0.2],
        [1, 0, 0],
      ]),
      [0],
    );
    expect([...row(kept, 0)]).toEqual([0, 0.5, 0.5]);
    expect(row(kept, 1)[1]).toBeCloseTo(0.3);
    expect([...row(kept, 2)]).toEqual([0, 0, 0]);
  });

  it("leaves the recorded weights alone", () => {
    without(even, [0]);
    expect([...even.values]).toEqual([0.5, 0.5, 0.5, 0.5]);
  });
});

describe("the published penalties", () => {
  it("are 0 where each input is read once, by one step", () => {
    const turn = matrix([
      [0, 1],
      [1, 0],
    ]);
    expect(coverageDeviation([1, 1])).toBe(-0);
    expect(absentmindedness(turn)).toEqual({ out: 0, into: 0 });
  });

  it("fall with what is missed and with what is scattered", () => {
    expect(coverageDeviation([0, 2])).toBeCloseTo(-Math.log(2));
    expect(absentmindedness(even).out).toBeCloseTo(-Math.log(2));
    expect(absentmindedness(even).into).toBeCloseTo(-Math.log(2));
  });
});
