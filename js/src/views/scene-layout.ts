/** Where the frames of a scene and the patches on them are, in CSS pixels. */
import type { Scene } from "../wire.ts";

/** How high a picture, a frame of a clip and a sound are at most, and how much a pixel is enlarged at most. */
const HEIGHT = { image: 260, video: 132, audio: 84 };
const LEAST_FRAME = 72;
const MAX_ENLARGED = 32;
const GAP = 8;

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface SceneLayout {
  width: number;
  height: number;
  frames: Box[];
}

/** Lays out a scene in so many pixels: clips go on in another line, sounds take all of it. */
export function sceneLayout({ kind, grid, shape }: Scene, room: number): SceneLayout {
  const [nFrames] = grid;
  const [, rows, columns] = shape;
  if (kind === "audio")
    return { width: room, height: HEIGHT.audio, frames: [{ x: 0, y: 0, width: room, height: HEIGHT.audio }] };
  const aspect = columns / rows;
  const fitting = (room - (nFrames - 1) * GAP) / nFrames;
  const wanted = Math.min(HEIGHT[kind] * aspect, columns * MAX_ENLARGED, room);
  const width = Math.floor(Math.max(Math.min(wanted, fitting), Math.min(LEAST_FRAME, wanted, room)));
  const height = Math.max(1, Math.round(width / aspect));
  const perLine = Math.max(1, Math.floor((room + GAP) / (width + GAP)));
  const frames = Array.from({ length: nFrames }, (_, i) => ({
    x: (i % perLine) * (width + GAP),
    y: Math.floor(i / perLine) * (height + GAP),
    width,
    height,
  }));
  const last = frames.at(-1);
  return {
    width: Math.min(nFrames, perLine) * (width + GAP) - GAP,
    height: (last?.y ?? 0) + height,
    frames,
  };
}

/** Where a token of the strip is; null where it stands beside the scene. */
export function boxOf(scene: Scene, layout: SceneLayout, token: number): Box | null {
  const [nFrames, rows, columns] = scene.grid;
  const patch = token - scene.before;
  if (patch < 0 || patch >= nFrames * rows * columns) return null;
  const frame = layout.frames[Math.floor(patch / (rows * columns))];
  if (!frame) return null;
  const row = Math.floor(patch / columns) % rows;
  const column = patch % columns;
  const [x, right] = [column, column + 1].map((c) => Math.round(frame.x + (c * frame.width) / columns));
  const [y, bottom] = [row, row + 1].map((r) => Math.round(frame.y + (r * frame.height) / rows));
  return { x: x ?? 0, y: y ?? 0, width: (right ?? 0) - (x ?? 0), height: (bottom ?? 0) - (y ?? 0) };
}

/** The token under a point, or null beside the patches. */
export function tokenAt(scene: Scene, layout: SceneLayout, x: number, y: number): number | null {
  const [, rows, columns] = scene.grid;
  for (const [i, frame] of layout.frames.entries()) {
    const row = Math.floor(((y - frame.y) / frame.height) * rows);
    const column = Math.floor(((x - frame.x) / frame.width) * columns);
    if (row >= 0 && row < rows && column >= 0 && column < columns)
      return scene.before + (i * rows + row) * columns + column;
  }
  return null;
}
