import { describe, expect, it } from "vitest";
import { crc32 } from "../src/crc.ts";
import { colour, ink, luminance, ramp, type Rgb } from "../src/theme.ts";

const contrast = (a: number, b: number) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
const colours = (dark: boolean): Rgb[] => Array.from({ length: 256 }, (_, i) => colour(i / 255, dark));

describe.each([
  ["light", false],
  ["dark", true],
] as const)("the %s ramp", (_, dark) => {
  it("has a strictly monotonic lightness", () => {
    const steps = colours(dark)
      .map(luminance)
      .map((l, i, all) => l - (all[i - 1] ?? l));
    expect(steps.slice(1).every((step) => (dark ? step > 0 : step < 0))).toBe(true);
  });

  it("carries text that reads on each of its 256 colours", () => {
    for (const rgb of colours(dark)) {
      const text = ink(rgb) === "#ffffff" ? 1 : 0;
      expect(contrast(luminance(rgb), text)).toBeGreaterThanOrEqual(4.5);
    }
  });

  it("clamps what is outside and takes NaN for 0", () => {
    expect(colour(7, dark)).toEqual(colour(1, dark));
    expect(colour(-1, dark)).toEqual(colour(0, dark));
    expect(colour(Number.NaN, dark)).toEqual(colour(0, dark));
  });

  it("has 256 colours", () => expect(ramp(dark)).toHaveLength(768));
  it("is that of printed figures", () =>
    expect(crc32(new Float32Array(ramp(dark).slice().buffer))).toBe(dark ? 2895197698 : 450843933)); // test_figure.py
});

describe("the checksum", () => {
  it("is that of zlib, of a part of a buffer too", () => {
    const values = Float32Array.from([0.25, 1, -2, 0.5]);
    expect([crc32(values), crc32(values.subarray(1, 3)), crc32(new Float32Array())]).toEqual([
      3668543180, 3280414294, 0,
    ]);
  });
});
