/** The heatmap: its cells, the numbers of the gazed step, and the frames of what is looked at. */
import { at, row } from "../matrix.ts";
import { cellOf, type Axis } from "../scales.ts";
import type { Store } from "../store.ts";
import { colour, ink, inkOf } from "../theme.ts";
import { short } from "../text.ts";
import { boxOf, cellLayer, sized } from "./heatmap-cells.ts";
import { columnsOf, rowsOf, type Layout } from "./layout.ts";

/** Cells smaller than this hold no numbers, in CSS pixels. */
const NUMBER_PX = [34, 14] as const;
/** Numbers below this stay off the picture; hovering tells them. */
const LEAST_NUMBER = 0.005;

/** Draws the heatmap at device pixels: its cells, and over them what moves with the gaze. */
export function paint(canvas: HTMLCanvasElement, store: Store, layout: Layout, width: number, height: number): void {
  const { keys, queries } = layout;
  const ratio = globalThis.devicePixelRatio || 1;
  const context = sized(canvas, width, height, ratio);
  if (!context || !keys.nCells || !queries.nCells) return;
  context.clearRect(0, 0, width, height);
  context.drawImage(cellLayer(canvas, store, layout, width, height, ratio), 0, 0, width, height);
  writeNumbers(context, store, layout, store.dark.value);
  frameGaze(context, canvas, store, layout);
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
  const [across, down] = [columnsOf(layout), rowsOf(layout)];
  const width = across.nCells * across.size;
  const height = down.nCells * down.size;
  context.strokeStyle = inkOf(canvas, store.dark.value, "accent");
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
