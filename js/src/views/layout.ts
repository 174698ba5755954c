/** The axes that strips, heatmap and bars share, so that a token stands at the same place in each. */
import { computed, signal as state, type ReadonlySignal } from "@preact/signals-core";
import type { Axis, Window } from "../scales.ts";
import { axis } from "../scales.ts";
import type { Store } from "../store.ts";

/** All in CSS pixels. */
const LABELS = 92;
const LABELS_NARROW = 72;
const NARROW = 560;
const COLOUR_BAR = 78;
const LEAST_SCENE = 160;
/** A strip that is no axis of the heatmap has tokens this wide where columns are narrower. */
const READABLE = 72;
/** Room for bars beside the rows, where the rows are inputs. */
const SIDE_BARS = 128;
const MIN_CELL = 3;
const MAX_COLUMN = 150;
const HEATMAP_HEIGHT = 468;
/** Rows fill this height while there are few of them, within these limits. */
const FEW_ROWS_HEIGHT = 310;
const MAX_ROW = [28, 44] as const;

export interface Layout {
  /** of all views */
  width: number;
  /** width of the labels left of the plot */
  left: number;
  /** room for the drawing of a scene */
  scene: number;
  /** the heatmap's rows are keys and its columns queries */
  turned: boolean;
  /** the heatmap's axes: keys are its columns, or where it is turned its rows */
  keys: Axis;
  queries: Axis;
  /** the strips: one of them is the axis of the columns, the other as wide as these where they fit */
  input: Axis;
  output: Axis;
}

/** Axis along the width of the heatmap. */
export const columnsOf = (layout: Layout): Axis => (layout.turned ? layout.queries : layout.keys);
/** Axis along its height. */
export const rowsOf = (layout: Layout): Axis => (layout.turned ? layout.keys : layout.queries);

/** Follows the width of an element. */
export function watchLayout(host: HTMLElement, store: Store, signal: AbortSignal): ReadonlySignal<Layout> {
  const width = state(host.clientWidth || 720);
  const observer = new ResizeObserver(([entry]) => {
    if (entry && entry.contentRect.width > 0) width.value = Math.floor(entry.contentRect.width);
  });
  observer.observe(host);
  signal.addEventListener("abort", () => observer.disconnect(), { once: true });
  return computed(() => layoutOf(store, width.value));
}

function layoutOf(store: Store, width: number): Layout {
  const left = width < NARROW ? LABELS_NARROW : LABELS;
  const turned = store.selection.value.rows === "key";
  const strip = Math.max(120, width - left - COLOUR_BAR);
  const plot = turned ? Math.max(120, strip - SIDE_BARS) : strip;
  const { site, matrix, queries, keys, keyScene, queryScene } = store.slice.value;
  const scene = Math.max(
    LEAST_SCENE,
    keyScene && queryScene ? Math.floor((width - 2 * left - COLOUR_BAR / 4) / 2) : strip,
  );
  const nQueries = Math.max(matrix.nQueries, queries.length, site?.nQueries ?? 0);
  const nKeys = Math.max(matrix.nKeys, keys.length, site?.nKeys ?? 0);
  const windows = store.window.value;
  const across = (n: number, window: Window) => axis(n, plot, MIN_CELL, MAX_COLUMN, window);
  const down = (n: number, window: Window) =>
    axis(
      n,
      HEATMAP_HEIGHT,
      MIN_CELL,
      Math.max(MAX_ROW[0], Math.min(MAX_ROW[1], FEW_ROWS_HEIGHT / Math.max(1, n))),
      window,
    );
  // One that has more tokens stands at no column, and has the room beside the columns too.
  const other = (n: number, columns: Axis, window: Window) =>
    axis(n, n > (turned ? nQueries : nKeys) ? width - left : strip, MIN_CELL, Math.max(columns.size, READABLE), window);
  if (turned) {
    const columns = across(nQueries, windows.queries);
    const input = other(nKeys, columns, windows.keys);
    return { width, left, scene, turned, keys: down(nKeys, windows.keys), queries: columns, input, output: columns };
  }
  const columns = across(nKeys, windows.keys);
  const output = other(nQueries, columns, windows.queries);
  return {
    width,
    left,
    scene,
    turned,
    keys: columns,
    queries: down(nQueries, windows.queries),
    input: columns,
    output,
  };
}
