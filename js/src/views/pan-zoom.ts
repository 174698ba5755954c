/** Moving about in a heatmap that is larger than its place: wheel, drag, and the step that stays in view. */
import { effect, untracked, type ReadonlySignal } from "@preact/signals-core";
import { shifted, zoomed, type Window } from "../scales.ts";
import type { Store } from "../store.ts";
import { columnsOf, rowsOf, type Layout } from "./layout.ts";

/** How much closer one turn of the wheel brings. */
const CLOSER = 0.7;

/** Makes an element move the store's window. `placeAt` tells the weight under the pointer. */
export function panAndZoom(
  grid: HTMLElement,
  store: Store,
  layout: ReadonlySignal<Layout>,
  signal: AbortSignal,
  placeAt: (event: MouseEvent) => { query: number; key: number } | null,
): void {
  const stop = effect(() => showStep(store, store.selection.value.step));
  signal.addEventListener("abort", stop, { once: true });
  grid.addEventListener("wheel", (event) => onWheel(event, store, layout.value.turned, placeAt(event)), {
    signal,
    passive: false,
  });
  panByDrag(grid, store, layout, signal);
}

function onWheel(event: WheelEvent, store: Store, turned: boolean, place: { query: number; key: number } | null): void {
  const { keys, queries } = store.window.value;
  const across = event.shiftKey;
  const { matrix } = store.slice.value;
  if (event.ctrlKey && place) {
    event.preventDefault();
    const factor = event.deltaY < 0 ? CLOSER : 1 / CLOSER;
    store.window.value = {
      keys: zoomed(matrix.nKeys, keys, factor, place.key),
      queries: zoomed(matrix.nQueries, queries, factor, place.query),
    };
  } else if (across !== turned ? keys : queries) {
    event.preventDefault();
    const by = (window: Window) => Math.sign(event.deltaY || event.deltaX) * Math.ceil((window?.count ?? 0) / 10);
    store.window.value =
      across !== turned
        ? { keys: shifted(keys, by(keys), matrix.nKeys), queries }
        : { keys, queries: shifted(queries, by(queries), matrix.nQueries) };
  }
}

/** A window on the rows moves along when the step leaves it. */
function showStep(store: Store, step: number): void {
  untracked(() => {
    const { keys, queries } = store.window.value;
    if (!queries || (step >= queries.first && step < queries.first + queries.count)) return;
    const first = shifted(
      queries,
      step - queries.first - Math.floor(queries.count / 2),
      store.slice.value.matrix.nQueries,
    );
    store.window.value = { keys, queries: first };
  });
}

/** Dragging moves the windows, where there are any; a drag is not a click. */
function panByDrag(grid: HTMLElement, store: Store, layout: ReadonlySignal<Layout>, signal: AbortSignal): void {
  let from: { x: number; y: number; keys: Window; queries: Window } | null = null;
  let dragged = false;
  grid.addEventListener(
    "pointerdown",
    (event) => {
      const { keys, queries } = store.window.value;
      dragged = false;
      if (keys || queries) from = { x: event.clientX, y: event.clientY, keys, queries };
    },
    { signal },
  );
  grid.addEventListener(
    "pointermove",
    (event) => {
      if (!from) return;
      const { turned } = layout.value;
      const [across, down] = [columnsOf(layout.value), rowsOf(layout.value)];
      const columns = Math.round(((from.x - event.clientX) / across.size) * across.per);
      const rows = Math.round(((from.y - event.clientY) / down.size) * down.per);
      if (!dragged && !columns && !rows) return;
      dragged = true;
      grid.setPointerCapture(event.pointerId);
      const { nKeys, nQueries } = store.slice.value.matrix;
      store.window.value = {
        keys: shifted(from.keys, turned ? rows : columns, nKeys),
        queries: shifted(from.queries, turned ? columns : rows, nQueries),
      };
    },
    { signal },
  );
  for (const end of ["pointerup", "pointercancel"] as const)
    grid.addEventListener(end, () => (from = null), { signal });
  grid.addEventListener(
    "click",
    (event) => {
      if (dragged) event.stopImmediatePropagation();
    },
    { signal, capture: true },
  );
}
