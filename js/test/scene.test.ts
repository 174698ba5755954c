import { describe, expect, it } from "vitest";
import { boxOf, sceneLayout, tokenAt } from "../src/views/scene-layout.ts";
import { topOf, veilOf } from "../src/views/scene-paint.ts";
import { PictureError } from "../src/blocks.ts";
import { readPicture, type Scene } from "../src/wire.ts";
import { header, pack } from "./picture.ts";

const scene = (change: Partial<Scene> = {}): Scene => ({
  kind: "image",
  grid: [1, 2, 3],
  before: 1,
  seconds: null,
  shape: [1, 40, 60, 3],
  pixels: new Uint8Array(7200),
  ...change,
});

describe("the layout of a scene", () => {
  it("gives every patch its own pixels, and every pixel its patch", () => {
    for (const grid of [
      [1, 2, 3],
      [1, 7, 11],
      [1, 1, 1],
    ] as const) {
      const it = scene({ grid: [...grid] });
      const layout = sceneLayout(it, 640);
      for (let token = 1; token <= grid[1] * grid[2]; token++) {
        const box = boxOf(it, layout, token);
        expect(tokenAt(it, layout, (box?.x ?? 0) + (box?.width ?? 0) / 2, (box?.y ?? 0) + (box?.height ?? 0) / 2)).toBe(
          token,
        );
      }
    }
  });

  it("leaves no gap and no overlap between patches", () => {
    const it = scene({ grid: [1, 7, 11] });
    const layout = sceneLayout(it, 333);
    const area = Array.from({ length: 77 }, (_, i) => boxOf(it, layout, i + 1)).reduce(
      (sum, box) => sum + (box?.width ?? 0) * (box?.height ?? 0),
      0,
    );
    expect(area).toBe(layout.width * layout.height);
  });

  it("keeps the shape of the picture", () => {
    const { width, height } = sceneLayout(scene(), 640);
    expect(width / height).toBeCloseTo(1.5, 1);
  });

  it("breaks a clip into lines where it does not fit", () => {
    const clip = scene({ kind: "video", grid: [12, 2, 2], shape: [12, 40, 40, 3] });
    const { frames, width } = sceneLayout(clip, 400);
    expect(new Set(frames.map((frame) => frame.y)).size).toBeGreaterThan(1);
    expect(width).toBeLessThanOrEqual(400);
    expect(tokenAt(clip, sceneLayout(clip, 400), (frames[11]?.x ?? 0) + 1, (frames[11]?.y ?? 0) + 1)).toBe(1 + 11 * 4);
  });

  it("finds no patch beside the picture, and no box for what stands beside it", () => {
    const layout = sceneLayout(scene(), 640);
    expect(tokenAt(scene(), layout, layout.width + 1, 1)).toBeNull();
    expect(boxOf(scene(), layout, 0)).toBeNull();
    expect(boxOf(scene(), layout, 7)).toBeNull();
  });
});

describe("the veil", () => {
  it("covers what has no weight and clears what has most", () => {
    expect([veilOf(0, 0.5), veilOf(0.25, 0.5), veilOf(0.5, 0.5), veilOf(Number.NaN, 0.5)]).toEqual([1, 0.5, 0, 1]);
  });

  it("is scaled to the strongest patch, not to a token beside the picture", () => {
    expect(topOf(scene(), Float32Array.of(0.9, 0, 0.05, 0, Number.NaN, 0.01, 0, 0.8))).toBeCloseTo(0.05);
  });
});

describe("a picture with a scene", () => {
  const told = { kind: "image" as const, grid: [1, 1, 5], before: 0, seconds: null, shape: [1, 1, 2, 1], offset: 20 };
  const data = (change: Partial<typeof told> = {}) =>
    pack(header(1, { strips: [{ name: "source", n_tokens: 1, at: 0, texts: ["a"], scene: { ...told, ...change } }] }), [
      { rows: [[1, 0, 0, 0, 0]] },
    ]);
  const withPixels = (bytes: Uint8Array) => Uint8Array.of(...bytes, 7, 9, 0, 0);

  it("reads its pixels behind the weights", () => {
    const { pixels } = readPicture(withPixels(data())).strips[0]?.scene ?? {};
    expect([...(pixels ?? [])]).toEqual([7, 9]);
  });

  it.each([
    { offset: 23 },
    { shape: [1, 1, 2 ** 40, 1] },
    { shape: [0, 1, 2, 1] },
    { grid: [1, -1, 5] },
    { before: -1 },
  ])("refuses %o", (change) => {
    expect(() => readPicture(withPixels(data(change)))).toThrow(PictureError);
  });
});
