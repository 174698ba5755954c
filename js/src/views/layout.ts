/** The axes that strips, heatmap and bars share, so that a token stands at the same place in each. */
import { computed, signal as state, type ReadonlySignal } from "@preact/signals-core";
import type { Axis } from "../scales.ts";
import { axis } from "../scales.ts";
import type { Store } from "../store.ts";

/** All in CSS pixels. */
const LABELS = 92;
const LABELS_NARROW = 72;
const NARROW = 560;
const COLOUR_BAR = 78;
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
  /** columns: the keys */
  keys: Axis;
  /** rows of the heatmap: the queries */
  queries: Axis;
  /** the output strip: the queries, as wide as columns where they fit */
  output: Axis;
}

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
  const plot = Math.max(120, width - left - COLOUR_BAR);
  const { matrix, queries, keys } = store.slice.value;
  const nQueries = Math.max(matrix.nQueries, queries.length);
  const windows = store.window.value;
  const columns = axis(Math.max(matrix.nKeys, keys.length), plot, MIN_CELL, MAX_COLUMN, windows.keys);
  return {
    width,
    left,
    keys: columns,
    queries: axis(
      nQueries,
      HEATMAP_HEIGHT,
      MIN_CELL,
      Math.max(MAX_ROW[0], Math.min(MAX_ROW[1], FEW_ROWS_HEIGHT / Math.max(1, nQueries))),
      windows.queries,
    ),
    output: axis(nQueries, plot, MIN_CELL, columns.size, windows.queries),
  };
}
