/** The pixels of the heatmap: pure, the same slice gives the same picture. */
import { at, row, type Matrix } from "../matrix.ts";
import { cellOf, pooled, tokensOf, type Axis } from "../scales.ts";
import { columnsOf, rowsOf, type Layout } from "./layout.ts";
import type { Store } from "../store.ts";
import { colour, css, ink, type Rgb } from "../theme.ts";
import { short } from "../words.ts";

/** How much of its colour a row keeps that the selected step has not reached. */
const GHOST = 0.16;
/** CSS pixels: cells smaller than these have no gaps, no numbers, no hatching. */
const GAP_PX = 8;
const NUMBER_PX = [34, 14] as const;
const HATCH_PX = 4;
/** How much of a special key's colour is covered. */
const VEIL = 0.72;
/** Numbers below this stay off the picture; hovering tells them. */
const LEAST_NUMBER = 0.005;

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

/** Draws the heatmap at device pixels. */
export function paint(canvas: HTMLCanvasElement, store: Store, layout: Layout, width: number, height: number): void {
  const context = canvas.getContext("2d");
  const { matrix } = store.slice.value;
  const { keys, queries } = layout;
  const dark = store.dark.value;
  const ratio = globalThis.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  if (!context || !keys.nCells || !queries.nCells) return;
  const cells = cellsOf(
    matrix,
    keys,
    queries,
    dark,
    Math.max(store.selection.value.step, store.gaze.value.query),
    store.rowTop,
  );
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  fillCells(context, cells, layout, ratio, colour(0, dark));
  if (store.selection.value.special !== "keep") fade(context, store, layout, dark);
  hatch(context, cells, layout, dark);
  writeNumbers(context, store, layout, dark);
  frameGaze(context, canvas, store, layout);
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

function writeNumbers(context: CanvasRenderingContext2D, store: Store, layout: Layout, dark: boolean): void {
  const { matrix } = store.slice.value;
  const { query } = store.gaze.value;
  const { keys, queries } = layout;
  const r = cellOf(queries, query);
  const [, , width, height] = boxOf(layout, 0, 0);
  const isSmall = width < NUMBER_PX[0] || height < NUMBER_PX[1];
  if (r < 0 || !matrix.nQueries || keys.per > 1 || queries.per > 1 || isSmall) return;
  const top = store.rowTop(row(matrix, query));
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let key = keys.first; key < keys.end; key++) {
    const weight = at(matrix, query, key);
    if (Math.abs(weight) < LEAST_NUMBER) continue;
    const [x, y] = boxOf(layout, r, cellOf(keys, key));
    context.fillStyle = ink(colour(weight / top, dark));
    context.fillText(short(weight), x + 0.5 * width, y + 0.5 * height + 0.5);
  }
}

/** Frames the gazed step with a thick line and the gazed keys with thin ones. */
function frameGaze(context: CanvasRenderingContext2D, canvas: HTMLCanvasElement, store: Store, layout: Layout): void {
  const styles = getComputedStyle(canvas);
  const accent = styles.getPropertyValue("--attnwidget-accent").trim() || "#c2410c";
  const [across, down] = [columnsOf(layout), rowsOf(layout)];
  const width = across.nCells * across.size;
  const height = down.nCells * down.size;
  context.strokeStyle = accent;
  const rowFrame = (axis: Axis, cell: number) => {
    const y = Math.max(1, cell * axis.size - 1);
    context.strokeRect(1, y, width - 2, Math.min(height - 1, (cell + 1) * axis.size) - y);
  };
  const columnFrame = (axis: Axis, cell: number) => {
    const x = Math.max(1, cell * axis.size - 1);
    context.strokeRect(x, 1, Math.min(width - 1, (cell + 1) * axis.size) - x, height - 2);
  };
  const q = cellOf(layout.queries, store.gaze.value.query);
  if (q >= 0 && store.slice.value.matrix.nQueries) {
    context.lineWidth = 2;
    (layout.turned ? columnFrame : rowFrame)(layout.queries, q);
  }
  context.lineWidth = 1;
  for (const key of store.gaze.value.keys) {
    const k = cellOf(layout.keys, key);
    if (k >= 0) (layout.turned ? rowFrame : columnFrame)(layout.keys, k);
  }
}
