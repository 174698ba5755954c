/** The cells of the heatmap, without what moves with the gaze: pure, the same slice gives the same picture. */
import { row, type Matrix } from "../matrix.ts";
import { cellOf, pooled, tokensOf, type Axis } from "../scales.ts";
import type { Store } from "../store.ts";
import { colour, css, type Rgb } from "../theme.ts";
import type { Layout } from "./layout.ts";

/** How much of its colour a row keeps that the selected step has not reached. */
const GHOST = 0.16;
/** CSS pixels: cells smaller than these have no gaps, no hatching. */
const GAP_PX = 8;
const HATCH_PX = 4;
/** How much of a special key's colour is covered. */
const VEIL = 0.72;

export interface Cells {
  /** one pixel a cell, RGBA */
  rgba: Uint8ClampedArray<ArrayBuffer>;
  /** greatest weight of each cell; NaN where none is finite */
  values: Float32Array;
  /** 1 where a cell holds something that is no weight: not finite, negative or above 1 */
  odd: Uint8Array;
}

/** Colours of all cells: [query cell, key cell]. */
export function cellsOf(
  matrix: Matrix,
  keys: Axis,
  queries: Axis,
  dark: boolean,
  step: number,
  top: (row: Float32Array) => number,
): Cells {
  const n = keys.nCells * queries.nCells;
  const cells: Cells = {
    rgba: new Uint8ClampedArray(n * 4),
    values: new Float32Array(n).fill(Number.NaN),
    odd: new Uint8Array(n),
  };
  const ground = colour(0, dark);
  for (let r = 0; r < queries.nCells; r++) {
    const [q0, q1] = tokensOf(queries, r);
    let greatest = 1;
    for (let q = q0; q < Math.min(q1, matrix.nQueries); q++) {
      const weights = row(matrix, q);
      greatest = q === q0 ? top(weights) : Math.max(greatest, top(weights));
      for (const [c, value] of pooled(keys, weights).entries()) {
        const i = r * keys.nCells + c;
        if (!(value <= (cells.values[i] ?? 0))) cells.values[i] = value;
      }
      markOdd(cells.odd, r * keys.nCells, weights, keys);
    }
    const kept = q0 > step || q0 >= matrix.nQueries ? GHOST : 1;
    for (let i = r * keys.nCells; i < (r + 1) * keys.nCells; i++) {
      const rgb = colour((cells.values[i] ?? 0) / greatest, dark);
      for (let c = 0; c < 3; c++) cells.rgba[i * 4 + c] = (ground[c] ?? 0) + ((rgb[c] ?? 0) - (ground[c] ?? 0)) * kept;
      cells.rgba[i * 4 + 3] = 255;
    }
  }
  return cells;
}

function markOdd(odd: Uint8Array, start: number, weights: Float32Array, keys: Axis): void {
  for (let k = keys.first; k < keys.end; k++) {
    const weight = weights[k] ?? 0;
    if (!(weight >= 0 && weight <= 1.02)) odd[start + Math.floor((k - keys.first) / keys.per)] = 1;
  }
}

/** Left, top, width and height of a cell in CSS pixels, wherever the axes are; on whole device pixels for a ratio. */
export function boxOf(
  { keys, queries, turned }: Layout,
  q: number,
  k: number,
  ratio = 0,
): [number, number, number, number] {
  const edge = (cell: number, size: number) => (ratio ? Math.round(cell * size * ratio) / ratio : cell * size);
  const along = (axis: Axis, cell: number) => [
    edge(cell, axis.size),
    edge(cell + 1, axis.size) - edge(cell, axis.size),
  ];
  const [a = 0, da = 0] = along(keys, k);
  const [b = 0, db = 0] = along(queries, q);
  return turned ? [b, a, db, da] : [a, b, da, db];
}

/** Makes a canvas as large as this at device pixels, and returns its context. */
export function sized(canvas: HTMLCanvasElement, width: number, height: number, ratio: number) {
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context?.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

interface Drawn {
  layer: HTMLCanvasElement;
  /** what it was drawn of */
  of: unknown[];
}
const layers = new WeakMap<HTMLCanvasElement, Drawn>();

/** The cells alone, drawn anew only where something else than the gaze has changed. */
export function cellLayer(
  canvas: HTMLCanvasElement,
  store: Store,
  layout: Layout,
  width: number,
  height: number,
  ratio: number,
): HTMLCanvasElement {
  const { matrix, special } = store.slice.value;
  const { step, scale, special: choice } = store.selection.value;
  const dark = store.dark.value;
  const reached = Math.max(step, store.gaze.value.query);
  const { keys, queries, turned } = layout;
  const axes = [keys, queries].flatMap((axis) => [axis.first, axis.end, axis.per, axis.size]);
  const of = [matrix, special, choice, scale, dark, reached, turned, width, height, ratio, ...axes];
  const drawn = layers.get(canvas);
  if (drawn && drawn.of.every((value, i) => value === of[i])) return drawn.layer;
  const layer = drawn?.layer ?? document.createElement("canvas");
  layers.set(canvas, { layer, of });
  const context = sized(layer, width, height, ratio);
  if (!context) return layer;
  context.clearRect(0, 0, width, height);
  const cells = cellsOf(matrix, keys, queries, dark, reached, store.rowTop);
  fillCells(context, cells, layout, ratio, colour(0, dark));
  if (choice !== "keep") fade(context, store, layout, dark);
  hatch(context, cells, layout, dark);
  return layer;
}

/** Fills on whole device pixels, so that every cell has its exact colour up to its edge. */
function fillCells(context: CanvasRenderingContext2D, cells: Cells, layout: Layout, ratio: number, ground: Rgb): void {
  const { keys, queries } = layout;
  const gap = Math.min(keys.size, queries.size) >= GAP_PX ? 1 : 0;
  for (let r = 0; r < queries.nCells; r++)
    for (let c = 0; c < keys.nCells; c++) {
      const i = (r * keys.nCells + c) * 4;
      context.fillStyle = css([
        cells.rgba[i] ?? ground[0],
        cells.rgba[i + 1] ?? ground[1],
        cells.rgba[i + 2] ?? ground[2],
      ]);
      const [x, y, width, height] = boxOf(layout, r, c, ratio);
      context.fillRect(x, y, width - gap, height - gap);
    }
}

/** Veils the keys that are special; those that are left out have nothing under the veil. */
function fade(context: CanvasRenderingContext2D, store: Store, layout: Layout, dark: boolean): void {
  const [r, g, b] = colour(0, dark);
  context.save();
  context.fillStyle = `rgb(${r} ${g} ${b} / ${VEIL})`;
  context.strokeStyle = dark ? "#5c6370" : "#b9bec9";
  for (const key of store.slice.value.special) {
    const cell = cellOf(layout.keys, key);
    if (cell < 0 || layout.keys.per > 1) continue;
    const [x, y, width, height] = boxOf(layout, 0, cell);
    const [across, down] = layout.turned
      ? [layout.queries.nCells * width, height]
      : [width, layout.queries.nCells * height];
    context.fillRect(x, y, across, down);
    context.setLineDash([3, 3]);
    context.strokeRect(x + 0.5, y + 0.5, across - 2, down - 2);
  }
  context.restore();
}

function hatch(context: CanvasRenderingContext2D, cells: Cells, layout: Layout, dark: boolean): void {
  const { keys } = layout;
  context.save();
  context.strokeStyle = dark ? "#ff8a8a" : "#b3001b";
  context.lineWidth = 1;
  context.beginPath();
  for (const [i, odd] of cells.odd.entries()) {
    if (!odd) continue;
    const [x, y, width, height] = boxOf(layout, Math.floor(i / keys.nCells), i % keys.nCells);
    const reach = Math.min(width, height);
    for (let d = reach < HATCH_PX ? reach : HATCH_PX; d <= reach; d += HATCH_PX) {
      context.moveTo(x, y + d);
      context.lineTo(x + d, y);
    }
  }
  context.stroke();
  context.restore();
}
