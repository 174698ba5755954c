/** The whole head, small, and which part of it the heatmap shows; dragging shows another part. */
import { html, setStyle } from "../dom.ts";
import { around, axis, type Window } from "../scales.ts";
import type { Store } from "../store.ts";
import { cellsOf, coloursOf } from "./heatmap-cells.ts";

/** CSS pixels. */
const WIDTH = 252;
const HEIGHT = [28, 126] as const;
const CELL = 2;

export function minimap(store: Store, signal: AbortSignal): HTMLElement {
  const canvas = html("canvas", "minimap-canvas", { "aria-hidden": "true" });
  const frame = html("span", "minimap-frame");
  const map = html("div", "minimap", {}, canvas, frame);
  let drawn: unknown[] = [];

  const moveTo = (event: PointerEvent) => {
    const box = map.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    const turned = store.selection.value.rows === "key";
    const { nKeys, nQueries } = store.slice.value.matrix;
    const { keys, queries } = store.window.value;
    const moved = (window: Window, n: number, share: number) =>
      window && around(n, window.count, Math.floor(Math.max(0, Math.min(1, share)) * n));
    store.window.value = {
      keys: moved(keys, nKeys, turned ? y : x),
      queries: moved(queries, nQueries, turned ? x : y),
    };
  };
  map.addEventListener(
    "pointerdown",
    (event) => {
      map.setPointerCapture(event.pointerId);
      moveTo(event);
    },
    { signal },
  );
  map.addEventListener("pointermove", (event) => event.buttons && moveTo(event), { signal });

  store.draw(signal, () => {
    const { matrix } = store.slice.value;
    const { keys, queries } = store.window.value;
    map.toggleAttribute("hidden", !(keys ?? queries) || !matrix.nQueries);
    if (!(keys ?? queries) || !matrix.nQueries) return;
    const turned = store.selection.value.rows === "key";
    const [nColumns, nRows] = turned ? [matrix.nQueries, matrix.nKeys] : [matrix.nKeys, matrix.nQueries];
    const height = Math.round(Math.max(HEIGHT[0], Math.min(HEIGHT[1], (WIDTH * nRows) / nColumns)));
    setStyle(map, { height: `${height}px` });
    const of = [matrix, turned, store.dark.value, store.scale.value];
    if (!of.every((value, i) => value === drawn[i])) {
      drawn = of;
      paint(canvas, store, turned, height);
    }
    const across = part(turned ? queries : keys, nColumns);
    const down = part(turned ? keys : queries, nRows);
    setStyle(frame, { left: across.at, width: across.size, top: down.at, height: down.size });
  });
  return map;
}

const part = (window: Window, n: number) => ({
  at: `${(100 * (window?.first ?? 0)) / n}%`,
  size: `${(100 * (window?.count ?? n)) / n}%`,
});

function paint(canvas: HTMLCanvasElement, store: Store, turned: boolean, height: number): void {
  const { matrix } = store.slice.value;
  const keys = axis(matrix.nKeys, turned ? height : WIDTH, CELL, CELL);
  const queries = axis(matrix.nQueries, turned ? WIDTH : height, CELL, CELL);
  const colours = coloursOf(cellsOf(matrix, keys, queries, store.rowTop), keys.nCells, () => true, store.dark.value);
  const [columns, rows] = turned ? [queries.nCells, keys.nCells] : [keys.nCells, queries.nCells];
  canvas.width = columns;
  canvas.height = rows;
  const image = new ImageData(columns, rows);
  const [from, to] = [new Uint32Array(colours.buffer), new Uint32Array(image.data.buffer)];
  for (let i = 0; i < to.length; i++) to[i] = from[turned ? (i % columns) * rows + Math.floor(i / columns) : i] ?? 0;
  canvas.getContext("2d")?.putImageData(image, 0, 0);
}
