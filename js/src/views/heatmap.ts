/** The heatmap: rows are queries, columns are keys, drawn on a canvas, read through one moving grid cell. */
import { html, set, setCount, setStyle, setText } from "../dom.ts";
import { clamp, move, take } from "../keys.ts";
import { strongestOf } from "../large.ts";
import { at } from "../matrix.ts";
import { cellAt, cellOf, every, tokensOf, type Axis } from "../scales.ts";
import type { Store } from "../store.ts";
import { fits, shown } from "../text.ts";
import { boxOf } from "./heatmap-cells.ts";
import { paint } from "./heatmap-paint.ts";
import { colourBar } from "./colour-bar.ts";
import { columnsOf, rowsOf, type Layout } from "./layout.ts";
import { axisName } from "./strip.ts";
import { panAndZoom } from "./pan-zoom.ts";
import { told } from "./told.ts";
import type { View } from "./view.ts";

/** Room that a label needs to be read, in CSS pixels. */
const LABEL_PX = 12;
const UPRIGHT_PX = 40;
/** Upright labels: the most room for them, and what one of their characters and their gap need. */
const MAX_UPRIGHT = 66;
const CHARACTER_PX = 7;
const UPRIGHT_PAD = 8;

export const heatmap: View = {
  name: "heatmap",
  mount(host, store, layout, signal) {
    const columns = html("div", "heatmap-columns", { "aria-hidden": "true" });
    const rows = html("div", "heatmap-rows", { "aria-hidden": "true" });
    const corner = html("span", "heatmap-corner", { "aria-hidden": "true" });
    const canvas = html("canvas", "heatmap-canvas", { "aria-hidden": "true" });
    const cell = html("div", "heatmap-cell", { role: "gridcell" });
    const grid = html(
      "div",
      "heatmap-grid",
      { role: "grid", tabindex: 0 },
      canvas,
      html("div", "", { role: "row" }, cell),
    );
    const note = html("div", "note");
    host.append(corner, columns, rows, grid, note);
    colourBar(host, store, signal);

    const placeAt = (event: MouseEvent) => {
      const box = grid.getBoundingClientRect();
      const across = cellAt(columnsOf(layout.value), event.clientX - box.left);
      const down = cellAt(rowsOf(layout.value), event.clientY - box.top);
      const [query, key] = layout.value.turned ? [across, down] : [down, across];
      if (key < 0 || query < 0) return null;
      const [q, k] = strongestIn(store, layout.value.queries, query, layout.value.keys, key);
      return { query: q, key: k };
    };
    const leave = () => (store.focus.value = { query: null, key: null });
    const lock = (query: number, key: number, more: boolean) => {
      const { step, locked } = store.selection.value;
      const again = step === query && locked.length === 1 && locked[0] === key;
      store.select({ step: Math.min(query, store.slice.value.matrix.nQueries - 1) });
      if (more) store.toggleKey(key);
      else store.select({ locked: again ? [] : [key] });
    };
    panAndZoom(grid, store, layout, signal, placeAt);
    grid.addEventListener(
      "pointermove",
      (event) => (store.focus.value = placeAt(event) ?? { query: null, key: null }),
      { signal },
    );
    grid.addEventListener("pointerleave", leave, { signal });
    grid.addEventListener("blur", leave, { signal });
    grid.addEventListener(
      "click",
      (event) => {
        const place = placeAt(event);
        if (place) lock(place.query, place.key, event.ctrlKey || event.metaKey || event.shiftKey);
      },
      { signal },
    );
    grid.addEventListener(
      "keydown",
      (event) => {
        const { matrix } = store.slice.value;
        const { query, keys } = store.gaze.value;
        const step = move(event);
        if (step) {
          const [byQuery, byKey] = layout.value.turned ? [step.columns, step.rows] : [step.rows, step.columns];
          store.focus.value = {
            query: clamp(query + byQuery, matrix.nQueries),
            key: clamp((keys[0] ?? (byKey ? -byKey : 0)) + byKey, matrix.nKeys),
          };
        } else if (event.key === "Enter" || event.key === " ") lock(query, keys[0] ?? 0, event.shiftKey);
        else if (event.key === "Escape") {
          leave();
          store.select({ locked: [] });
        } else return;
        take(event);
      },
      { signal },
    );

    store.draw(signal, () => {
      const { keys, queries, turned } = layout.value;
      const [across, down] = [columnsOf(layout.value), rowsOf(layout.value)];
      const { matrix, absent } = store.slice.value;
      const width = across.nCells * across.size;
      const height = down.nCells * down.size;
      const [nRows, nColumns] = turned ? [matrix.nKeys, matrix.nQueries] : [matrix.nQueries, matrix.nKeys];
      setStyle(grid, { width: `${width}px`, height: `${height}px` });
      paint(canvas, store, layout.value, width, height);
      const sides = { key: keySide(store, keys), query: querySide(store, queries) };
      labelColumns(columns, turned ? sides.query : sides.key, width);
      labelRows(rows, turned ? sides.key : sides.query, height);
      const names = [axisName(store, turned ? "key" : "query"), axisName(store, turned ? "query" : "key")] as const;
      setText(corner, store.words.corner(...names));
      set(grid, {
        "aria-rowcount": nRows,
        "aria-colcount": nColumns,
        "aria-description": store.words.heatmapHelp,
        "aria-label": `${store.words.heatmap}: ${store.words.axes(...names)}`,
      });
      moveCell(cell, store, layout.value);
      const binned = Math.max(keys.per, queries.per);
      const missing = store.nSteps.value ? store.words.noWeights : store.words.waiting;
      setText(note, absent ? missing : binned > 1 ? store.words.binned(keys.per * queries.per) : "");
    });
  },
};

/** The strongest weight among those that one cell stands for, as [query, key]. */
function strongestIn(store: Store, queries: Axis, row: number, keys: Axis, column: number): [number, number] {
  const { matrix } = store.slice.value;
  const [q0, q1] = tokensOf(queries, row);
  const [k0, k1] = tokensOf(keys, column);
  if (matrix.large) return strongestOf(matrix.large, [q0, q1], [k0, k1], matrix.nKeys);
  let best: [number, number] = [q0, k0];
  for (let q = q0; q < q1; q++) for (let k = k0; k < k1; k++) if (at(matrix, q, k) > at(matrix, ...best)) best = [q, k];
  return best;
}

/** What labels need to know of the tokens along an axis. */
interface Side {
  axis: Axis;
  texts: string[];
  gazed: number[];
  ghost: (token: number) => boolean;
}

const keySide = (store: Store, axis: Axis): Side => {
  const { keys, special } = store.slice.value;
  const apart = new Set(special);
  const gazed = store.gaze.value.keys;
  return { axis, texts: keys, gazed, ghost: (key) => apart.has(key) || key >= store.nRead.value };
};

const querySide = (store: Store, axis: Axis): Side => {
  const gazed = [store.gaze.value.query];
  return { axis, texts: store.slice.value.queries, gazed, ghost: (query) => query >= store.nReached.value };
};

function labelColumns(host: HTMLElement, side: Side, width: number): void {
  const { axis, texts } = side;
  const areShort =
    axis.size >= LABEL_PX && texts.slice(axis.first, axis.end).every((text) => fits(shown(text), axis.size));
  const upright = axis.size < UPRIGHT_PX && !areShort;
  const step = every(axis.size, upright || areShort ? LABEL_PX : UPRIGHT_PX);
  setStyle(host, { width: `${width}px` });
  set(host, { "data-upright": upright });
  if (host.parentElement) setStyle(host.parentElement, { "--attnwidget-labels": `${uprightPx(side, step)}px` });
  for (const [i, node] of labelled(host, "column-label", side, step))
    setStyle(node, { left: `${i * step * axis.size}px`, width: `${axis.size * step}px` });
}

/** Height of upright labels: as the longest needs, whatever token is looked at, so that nothing moves with the gaze. */
function uprightPx({ axis, texts }: Side, step: number): number {
  let longest = 0;
  for (let cell = 0; cell < axis.nCells; cell += step)
    longest = Math.max(longest, shown(texts[tokensOf(axis, cell)[0]] ?? "").length);
  return Math.min(MAX_UPRIGHT, UPRIGHT_PAD + longest * CHARACTER_PX);
}

function labelRows(host: HTMLElement, side: Side, height: number): void {
  const { size } = side.axis;
  const step = every(size, LABEL_PX);
  setStyle(host, { height: `${height}px` });
  for (const [i, node] of labelled(host, "row-label", side, step))
    setStyle(node, {
      top: `${i * step * size}px`,
      height: `${size * step}px`,
      "line-height": `${size * step}px`,
    });
}

/** Labels are thinned where they do not fit; the one that stands for the gazed token names that token. */
function labelled(host: HTMLElement, part: string, { axis, texts, gazed, ghost }: Side, step: number) {
  const nodes = setCount(host, Math.ceil(axis.nCells / step), () => html("span", part));
  for (const [i, node] of nodes.entries()) {
    const looked = gazed.find((token) => isIn(cellOf(axis, token), i * step, step));
    const token = looked ?? tokensOf(axis, i * step)[0];
    setText(node, shown(texts[token] ?? ""));
    set(node, { "data-gaze": looked !== undefined, "data-ghost": ghost(token) });
  }
  return nodes.entries();
}

const isIn = (cell: number, first: number, count: number) => cell >= first && cell < first + count;

function moveCell(cell: HTMLElement, store: Store, layout: Layout): void {
  const { matrix, keys: keyTexts, queries: queryTexts } = store.slice.value;
  const { query, keys: gazed } = store.gaze.value;
  const key = gazed[0] ?? 0;
  const k = cellOf(layout.keys, key);
  const q = cellOf(layout.queries, query);
  const [left, top, width, height] = boxOf(layout, q, k);
  setStyle(cell, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
  const text = { query: shown(queryTexts[query] ?? ""), key: shown(keyTexts[key] ?? "") };
  const weight = told(matrix, query, key);
  const name = layout.turned
    ? store.words.cell(key, text.key, query, text.query, weight)
    : store.words.cell(query, text.query, key, text.key, weight);
  set(cell, {
    hidden: k < 0 || q < 0 || !matrix.nQueries,
    "data-gaze": gazed.length > 0,
    "aria-rowindex": (layout.turned ? key : query) + 1,
    "aria-colindex": (layout.turned ? query : key) + 1,
    "aria-label": name,
  });
}
