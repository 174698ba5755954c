/** The pixels of a scene, and over them the weights: pure, the same scene and weights give the same picture. */
import type { Store } from "../store.ts";
import { colour, css, inkOf } from "../theme.ts";
import type { Scene } from "../wire.ts";
import { boxOf, type Box, type SceneLayout } from "./scene-layout.ts";

/** Enlarged as much as this, pixels are shown as squares. */
const SQUARES_FROM = 3;

/** Patches with this share of the greatest weight have a frame, which shows where nothing is to be seen; CSS pixels. */
const LEAST_FRAMED = 0.3;
const FRAMED_PX = 12;

export interface Shown {
  shades: Float32Array | null;
  gazed: number;
  locked: number[];
}

/** The greatest weight on the scene itself, which is not veiled. */
export function topOf(scene: Scene, shades: Float32Array): number {
  const [frames, rows, columns] = scene.grid;
  let top = 0;
  for (const weight of shades.subarray(scene.before, scene.before + frames * rows * columns))
    if (weight > top && Number.isFinite(weight)) top = weight;
  return top;
}

/** How much of a patch is veiled: nothing where the weight is greatest, all of it where there is none. */
export const veilOf = (weight: number, top: number): number => 1 - Math.max(0, Math.min(1, (weight || 0) / top));

export function paintScene(
  canvas: HTMLCanvasElement,
  store: Store,
  scene: Scene,
  layout: SceneLayout,
  { shades, gazed, locked }: Shown,
): void {
  const context = canvas.getContext("2d");
  const ratio = globalThis.devicePixelRatio || 1;
  const [width, height] = [Math.round(layout.width * ratio), Math.round(layout.height * ratio)];
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  if (!context) return;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, layout.width, layout.height);
  const ink = inkOf(canvas, store.dark.value, "mark");
  if (scene.kind === "audio" && scene.shape[1] === 2) drawWave(context, scene, layout, ink);
  else drawFrames(context, scene, layout);
  const top = shades ? topOf(scene, shades) : 0;
  const first = scene.before;
  const end = first + scene.grid[0] * scene.grid[1] * scene.grid[2];
  if (shades && top > 0) {
    context.fillStyle = css(colour(0, store.dark.value));
    for (let token = first; token < end; token++) {
      const box = boxOf(scene, layout, token);
      if (!box) continue;
      context.globalAlpha = store.veil.value * veilOf(shades[token] ?? Number.NaN, top);
      context.fillRect(box.x, box.y, box.width, box.height);
    }
    context.lineWidth = 2;
    context.strokeStyle = ink;
    for (let token = first; token < end; token++) {
      const share = 1 - veilOf(shades[token] ?? Number.NaN, top);
      const box = boxOf(scene, layout, token);
      if (!box || share < LEAST_FRAMED || Math.min(box.width, box.height) < FRAMED_PX) continue;
      context.globalAlpha = share;
      frame(context, box);
    }
    context.globalAlpha = 1;
  }
  context.strokeStyle = inkOf(canvas, store.dark.value, "accent");
  for (const token of new Set([...locked, gazed])) {
    const box = boxOf(scene, layout, token);
    if (!box) continue;
    context.lineWidth = token === gazed ? 3 : 2;
    frame(context, box);
  }
}

function frame(context: CanvasRenderingContext2D, { x, y, width, height }: Box): void {
  context.strokeRect(x + 1, y + 1, Math.max(1, width - 2), Math.max(1, height - 2));
}

function drawFrames(context: CanvasRenderingContext2D, scene: Scene, layout: SceneLayout): void {
  const [, rows, columns] = scene.shape;
  for (const [i, frame] of framesOf(scene).entries()) {
    const box = layout.frames[i];
    if (!box) continue;
    context.imageSmoothingEnabled = Math.min(box.width / columns, box.height / rows) < SQUARES_FROM;
    context.drawImage(frame, box.x, box.y, box.width, box.height);
  }
}

/** The outline of a waveform: greatest and least values, from the top to the bottom of its box. */
function drawWave(context: CanvasRenderingContext2D, scene: Scene, layout: SceneLayout, ink: string): void {
  const n = scene.shape[2];
  const y = (level: number) => layout.height * (1 - level / 256);
  context.fillStyle = ink;
  for (let i = 0; i < n; i++) {
    const [high, low] = [scene.pixels[i] ?? 128, scene.pixels[n + i] ?? 128];
    const x = (i * layout.width) / n;
    context.fillRect(x, y(high), Math.max(0.5, layout.width / n), Math.max(1, y(low) - y(high)));
  }
}

const drawn = new WeakMap<Scene, HTMLCanvasElement[]>();

/** The frames of a scene as canvases of its own size. */
function framesOf(scene: Scene): HTMLCanvasElement[] {
  const known = drawn.get(scene);
  if (known) return known;
  const [nFrames, rows, columns, channels] = scene.shape;
  const frames = Array.from({ length: nFrames }, (_, i) => {
    const canvas = document.createElement("canvas");
    canvas.width = columns;
    canvas.height = rows;
    const image = new ImageData(columns, rows);
    for (let p = 0; p < rows * columns; p++) {
      const at = (i * rows * columns + p) * channels;
      for (let c = 0; c < 3; c++) image.data[p * 4 + c] = scene.pixels[at + (channels === 3 ? c : 0)] ?? 0;
      image.data[p * 4 + 3] = 255;
    }
    canvas.getContext("2d")?.putImageData(image, 0, 0);
    return canvas;
  });
  drawn.set(scene, frames);
  return frames;
}
