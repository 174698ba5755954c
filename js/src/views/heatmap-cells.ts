/** The cells of the heatmap, without what moves with the gaze: pure, the same slice gives the same picture. */
import { cellsOfLarge } from "../large.ts";
import { row, type Matrix } from "../matrix.ts";
import { cellOf, tokensOf, type Axis } from "../scales.ts";
import type { Store } from "../store.ts";
import { colour, css } from "../theme.ts";
import { columnsOf, rowsOf, type Layout } from "./layout.ts";

/** How much of its colour a row keeps that the selected step has not reached. */
const GHOST = 0.16;
/** CSS pixels: cells smaller than these have no gaps, no hatching. */
const GAP_PX = 8;
const HATCH_PX = 4;
/** How much of a special key's colour is covered. */
const VEIL = 0.72;

/** What the cells of a matrix stand for, whatever step is selected: [query cell, key cell]. */
export interface Cells {
  /** greatest weight of each cell; NaN where there is none */
  values: Float32Array;
  /** for each row of cells, what has the darkest colour in it */
  tops: Float64Array;
  /** 1 where a cell holds something that is no weight: not finite, negative or above 1 */
  odd: Uint8Array;
}

export function cellsOf(matrix: Matrix, keys: Axis, queries: Axis, top: (row: Float32Array) => number): Cells {
  const n = keys.nCells * queries.nCells;
  const cells: Cells = {
    values: new Float32Array(n).fill(Number.NaN),
    tops: new Float64Array(queries.nCells),
    odd: new Uint8Array(n),
  };
  if (matrix.large) {
    cells.values = cellsOfLarge(matrix.large, queries, keys);
    for (let r = 0; r < queries.nCells; r++)
      cells.tops[r] = top(cells.values.subarray(r * keys.nCells, (r + 1) * keys.nCells));
    for (const [i, value] of cells.values.entries()) if (value < 0 || value > 1.02) cells.odd[i] = 1;
    return cells;
  }
  for (let r = 0; r < queries.nCells; r++) {
    const [q0, q1] = tokensOf(queries, r);
    for (let q = q0; q < Math.min(q1, matrix.nQueries); q++) {
      cells.tops[r] = Math.max(cells.tops[r] ?? 0, top(row(matrix, q)));
      pool(cells, r * keys.nCells, matrix, q, keys);
    }
  }
  return cells;
}

function pool({ values, odd }: Cells, start: number, matrix: Matrix, q: number, keys: Axis): void {
  const { values: weights, nKeys } = matrix;
  for (let c = 0, k = keys.first; c < keys.nCells; c++) {
    let most = values[start + c] ?? Number.NaN;
    let isOdd = odd[start + c] ?? 0;
    for (const end = Math.min(k + keys.per, keys.end); k < end; k++) {
      const weight = weights[q * nKeys + k] ?? 0;
      if (!(weight >= 0 && weight <= 1.02)) isOdd = 1;
      if (!(weight <= most) && weight === weight) most = weight;
    }
    values[start + c] = most;
    odd[start + c] = isOdd;
  }
}

/** Colours of all cells, RGBA; the rows that the step has not reached are pale. */
export function coloursOf(
  { values, tops }: Cells,
  nKeyCells: number,
  reached: (cell: number) => boolean,
  dark: boolean,
) {
  const colours = new Uint8ClampedArray(values.length * 4).fill(255);
  const ground = colour(0, dark);
  for (const [r, top] of tops.entries()) {
    const kept = reached(r) ? 1 : GHOST;
    for (let i = r * nKeyCells; i < (r + 1) * nKeyCells; i++) {
      const rgb = colour((values[i] ?? 0) / (top || 1), dark);
      for (let c = 0; c < 3; c++) colours[i * 4 + c] = (ground[c] ?? 0) + ((rgb[c] ?? 0) - (ground[c] ?? 0)) * kept;
    }
  }
  return colours;
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

interface Made<V> {
  /** what it was made of */
  of: unknown[];
  made: V;
}
const cells = new WeakMap<Matrix, Made<Cells>>();
const layers = new WeakMap<HTMLCanvasElement, Made<HTMLCanvasElement>>();
const isOf = (made: Made<unknown> | undefined, of: unknown[]) => made?.of.every((value, i) => value === of[i]);

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
  const { special: choice } = store.selection.value;
  const scale = store.scale.value;
  const dark = store.dark.value;
  const nReached = store.nReached.value;
  const { keys, queries, turned } = layout;
  const axes = [keys, queries].flatMap((axis) => [axis.first, axis.end, axis.per, axis.size]);
  const of = [matrix, special, choice, scale, dark, nReached, turned, width, height, ratio, ...axes];
  const drawn = layers.get(canvas);
  if (drawn && isOf(drawn, of)) return drawn.made;
  const layer = drawn?.made ?? document.createElement("canvas");
  layers.set(canvas, { of, made: layer });
  const context = sized(layer, width, height, ratio);
  if (!context) return layer;
  context.clearRect(0, 0, width, height);
  const known = cells.get(matrix);
  const seen = [scale, ...axes];
  const found = known && isOf(known, seen) ? known.made : cellsOf(matrix, keys, queries, store.rowTop);
  cells.set(matrix, { of: seen, made: found });
  const isReached = (cell: number) => {
    const query = queries.first + cell * queries.per;
    return query < nReached && query < matrix.nQueries;
  };
  fillCells(context, coloursOf(found, keys.nCells, isReached, dark), layout, ratio);
  if (choice !== "keep") fade(context, store, layout, dark);
  hatch(context, found, layout, dark);
  return layer;
}

/** Fills on whole device pixels, so that every cell has its exact colour up to its edge. */
function fillCells(
  context: CanvasRenderingContext2D,
  colours: Uint8ClampedArray<ArrayBuffer>,
  layout: Layout,
  ratio: number,
): void {
  const { keys, queries } = layout;
  if (Math.min(keys.size, queries.size) < GAP_PX) return fillPixels(context, colours, layout, ratio);
  for (let r = 0; r < queries.nCells; r++)
    for (let c = 0; c < keys.nCells; c++) {
      const [red = 0, green = 0, blue = 0] = colours.subarray((r * keys.nCells + c) * 4);
      context.fillStyle = css([red, green, blue]);
      const [x, y, width, height] = boxOf(layout, r, c, ratio);
      context.fillRect(x, y, width - 1, height - 1);
    }
}

/** Cells without gaps, of which there are many, as one image. */
function fillPixels(
  context: CanvasRenderingContext2D,
  colours: Uint8ClampedArray<ArrayBuffer>,
  layout: Layout,
  ratio: number,
): void {
  const [across, down] = [columnsOf(layout), rowsOf(layout)];
  const edges = (axis: Axis) => Array.from({ length: axis.nCells + 1 }, (_, i) => Math.round(i * axis.size * ratio));
  const [xs, ys] = [edges(across), edges(down)];
  const [width, height] = [xs.at(-1) ?? 0, ys.at(-1) ?? 0];
  if (!width || !height) return;
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const ofCells = new Uint32Array(colours.buffer);
  for (let r = 0; r < down.nCells; r++) {
    const [top = 0, bottom = 0] = ys.slice(r, r + 2);
    for (let c = 0; c < across.nCells; c++) {
      const cell = layout.turned ? c * down.nCells + r : r * across.nCells + c;
      const end = top * width + (xs[c + 1] ?? 0);
      for (let i = top * width + (xs[c] ?? 0); i < end; i++) pixels[i] = ofCells[cell] ?? 0;
    }
    for (let y = top + 1; y < bottom; y++) pixels.copyWithin(y * width, top * width, (top + 1) * width);
  }
  context.putImageData(image, 0, 0);
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

function hatch(context: CanvasRenderingContext2D, { odd }: Cells, layout: Layout, dark: boolean): void {
  const { keys } = layout;
  context.save();
  context.strokeStyle = dark ? "#ff8a8a" : "#b3001b";
  context.lineWidth = 1;
  context.beginPath();
  for (let i = odd.indexOf(1); i >= 0; i = odd.indexOf(1, i + 1)) {
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
