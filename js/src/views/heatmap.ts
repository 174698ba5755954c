/** The heatmap: rows are queries, columns are keys, drawn on a canvas, read through one moving grid cell. */
import { html, setCount, setText } from "../dom.ts";
import { clamp, move, take } from "../keys.ts";
import { at } from "../matrix.ts";
import { cellAt, cellOf, every, tokensOf, type Axis } from "../scales.ts";
import type { Store } from "../store.ts";
import { fits, shown, words } from "../words.ts";
import { paint } from "./heatmap-paint.ts";
import { colourBar } from "./colour-bar.ts";
import { panAndZoom } from "./pan-zoom.ts";
import { told } from "./told.ts";
import type { View } from "./view.ts";

/** Room that a label needs to be read, in CSS pixels. */
const LABEL_PX = 12;
const UPRIGHT_PX = 40;

export const heatmap: View = {
  name: "heatmap",
  mount(host, store, layout, signal) {
    const columns = html("div", "heatmap-columns", { "aria-hidden": "true" });
    const rows = html("div", "heatmap-rows", { "aria-hidden": "true" });
    const canvas = html("canvas", "heatmap-canvas", { "aria-hidden": "true" });
    const cell = html("div", "heatmap-cell", { role: "gridcell" });
    const grid = html(
      "div",
      "heatmap-grid",
      { role: "grid", tabindex: 0, "aria-label": words.heatmap },
      canvas,
      html("div", "", { role: "row" }, cell),
    );
    const note = html("div", "note");
    host.append(columns, rows, grid, note);
    colourBar(host, store, signal);

    const placeAt = (event: MouseEvent) => {
      const box = grid.getBoundingClientRect();
      const key = cellAt(layout.value.keys, event.clientX - box.left);
      const query = cellAt(layout.value.queries, event.clientY - box.top);
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
          store.focus.value = {
            query: clamp(query + step.rows, matrix.nQueries),
            key: clamp((keys[0] ?? (step.columns ? -step.columns : 0)) + step.columns, matrix.nKeys),
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
      const { keys, queries } = layout.value;
      const { matrix, absent } = store.slice.value;
      const width = keys.nCells * keys.size;
      const height = queries.nCells * queries.size;
      grid.style.width = `${width}px`;
      grid.style.height = `${height}px`;
      grid.setAttribute("aria-rowcount", String(matrix.nQueries));
      grid.setAttribute("aria-colcount", String(matrix.nKeys));
      grid.setAttribute("aria-description", words.heatmapHelp);
      paint(canvas, store, keys, queries, width, height);
      labelColumns(columns, store, keys, width);
      labelRows(rows, store, queries, height);
      moveCell(cell, store, keys, queries);
      const binned = Math.max(keys.per, queries.per);
      const missing = store.nSteps.value ? words.noWeights : words.waiting;
      setText(note, absent ? missing : binned > 1 ? words.binned(keys.per * queries.per) : "");
    });
  },
};

/** The strongest weight among those that one cell stands for, as [query, key]. */
function strongestIn(store: Store, queries: Axis, row: number, keys: Axis, column: number): [number, number] {
  const { matrix } = store.slice.value;
  const [q0, q1] = tokensOf(queries, row);
  const [k0, k1] = tokensOf(keys, column);
  let best: [number, number] = [q0, k0];
  for (let q = q0; q < q1; q++) for (let k = k0; k < k1; k++) if (at(matrix, q, k) > at(matrix, ...best)) best = [q, k];
  return best;
}

function labelColumns(host: HTMLElement, store: Store, axis: Axis, width: number): void {
  const texts = store.slice.value.keys;
  const areShort =
    axis.size >= LABEL_PX && texts.slice(axis.first, axis.end).every((text) => fits(shown(text), axis.size));
  const upright = axis.size < UPRIGHT_PX && !areShort;
  const step = every(axis.size, upright || areShort ? LABEL_PX : UPRIGHT_PX);
  const focused = store.gaze.value.keys;
  host.style.width = `${width}px`;
  host.toggleAttribute("data-upright", upright);
  const nodes = setCount(host, Math.ceil(axis.nCells / step), () => html("span", "column-label"));
  for (const [i, node] of nodes.entries()) {
    const gazed = focused.find((key) => isIn(cellOf(axis, key), i * step, step));
    setText(node, shown(texts[gazed ?? tokensOf(axis, i * step)[0]] ?? ""));
    node.style.left = `${i * step * axis.size}px`;
    node.style.width = `${axis.size * step}px`;
    node.toggleAttribute("data-gaze", gazed !== undefined);
  }
}

/** Labels are thinned where they do not fit; the one that stands for the gazed token names that token. */
const isIn = (cell: number, first: number, count: number) => cell >= first && cell < first + count;

function labelRows(host: HTMLElement, store: Store, axis: Axis, height: number): void {
  const texts = store.slice.value.queries;
  const step = every(axis.size, LABEL_PX);
  const gazed = cellOf(axis, store.gaze.value.query);
  host.style.height = `${height}px`;
  const nodes = setCount(host, Math.ceil(axis.nCells / step), () => html("span", "row-label"));
  for (const [i, node] of nodes.entries()) {
    const isGazed = isIn(gazed, i * step, step);
    const query = isGazed ? store.gaze.value.query : tokensOf(axis, i * step)[0];
    setText(node, shown(texts[query] ?? ""));
    node.style.top = `${i * step * axis.size}px`;
    node.style.height = `${axis.size * step}px`;
    node.style.lineHeight = `${axis.size * step}px`;
    node.toggleAttribute("data-gaze", isGazed);
    node.toggleAttribute("data-ghost", query > store.selection.value.step);
  }
}

function moveCell(cell: HTMLElement, store: Store, keys: Axis, queries: Axis): void {
  const { matrix, keys: keyTexts, queries: queryTexts } = store.slice.value;
  const { query, keys: gazed } = store.gaze.value;
  const key = gazed[0] ?? 0;
  const column = cellOf(keys, key);
  const row = cellOf(queries, query);
  cell.toggleAttribute("hidden", column < 0 || row < 0 || !matrix.nQueries);
  cell.style.left = `${column * keys.size}px`;
  cell.style.top = `${row * queries.size}px`;
  cell.style.width = `${keys.size}px`;
  cell.style.height = `${queries.size}px`;
  cell.toggleAttribute("data-gaze", gazed.length > 0);
  cell.setAttribute("aria-rowindex", String(query + 1));
  cell.setAttribute("aria-colindex", String(key + 1));
  cell.setAttribute(
    "aria-label",
    words.cell(query, shown(queryTexts[query] ?? ""), key, shown(keyTexts[key] ?? ""), told(matrix, query, key)),
  );
}
