/** All heads of all layers as small pictures, sorted by what they attend to; a click opens one. */
import { computed, effect, signal as state, type Signal } from "@preact/signals-core";
import { html, select, setOptions, setText } from "../dom.ts";
import { move, take } from "../keys.ts";
import { cornerOf, linesIn, moved, tileAt, type Sort } from "./grid-order.ts";
import { paintGrid } from "./grid-paint.ts";
import { gridState, type GridState } from "./grid-state.ts";
import { chooseSite } from "./site-choice.ts";
import { oneStop } from "./stops.ts";
import type { Head } from "../heads.ts";
import type { Store } from "../store.ts";
import type { View } from "./view.ts";

/** Lets the frame of a tile at the edge be seen whole, in CSS pixels. */
const EDGE = 3;
const LEAST_WIDTH = 60;
let nGrids = 0;

export const grid: View = {
  name: "heads",
  mount(host, store, layout, signal) {
    const id = `attnwidget-heads-${nGrids++}`;
    const toggle = html("button", "heads-toggle attnwidget-toggle", { type: "button", "aria-controls": id });
    const sortBy = select(store.words.sortBy);
    const note = html("span", "note attnwidget-heads-note");
    const canvas = html("canvas", "heads-canvas", { "aria-hidden": "true" });
    const cell = html("div", "heads-cell", { role: "option", id: `${id}-cell` });
    const content = html("div", "heads-content", { role: "presentation" }, canvas, cell);
    const help = { "aria-description": store.words.headsHelp, "aria-activedescendant": cell.id };
    const box = html("div", "heads-box", { role: "listbox", tabindex: 0, id, ...help }, content);
    const told = html("p", "note attnwidget-heads-told");
    const bar = html("div", "heads-bar", {}, toggle, sortBy.field, note);
    host.append(bar, box, told);
    oneStop(bar, signal);

    const cursor = state(-1);
    const view = state({ top: 0, width: 0, height: 0, seen: false });
    watch(box, view, signal);
    const left = computed(() => layout.value.left);
    const turned = computed(() => layout.value.turned);
    const width = computed(() => Math.max(LEAST_WIDTH, view.value.width - left.value - 2 * EDGE));
    const heads = gridState(store, width);
    const gazed = () => (cursor.value < 0 ? heads.selected.value : cursor.value);

    toggle.addEventListener("click", () => (heads.opened.value = !heads.isOpen.value), { signal });
    const resort = () => {
      heads.sort.value = sortBy.control.value as Sort;
      cursor.value = -1;
      box.scrollTop = 0;
    };
    sortBy.control.addEventListener("change", resort, { signal });
    const under = (event: MouseEvent) => {
      const area = content.getBoundingClientRect();
      return tileAt(heads.grid.value, event.clientX - area.left - left.value, event.clientY - area.top - EDGE);
    };
    const open = (index: number) => {
      const tile = heads.grid.value.tiles[index];
      if (tile) chooseSite(store, tile.site, tile.head);
    };
    box.addEventListener("pointermove", (event) => (cursor.value = under(event)), { signal });
    for (const name of ["pointerleave", "blur"]) box.addEventListener(name, () => (cursor.value = -1), { signal });
    box.addEventListener("click", (event) => open(under(event)), { signal });
    box.addEventListener(
      "keydown",
      (event) => {
        const step = move(event);
        if (step) {
          cursor.value = moved(heads.grid.value, gazed(), step.columns, step.rows);
          reveal(box, heads, cursor.value);
        } else if (event.key === "Enter" || event.key === " ") open(gazed());
        else if (event.key === "Escape") cursor.value = -1;
        else return;
        take(event);
      },
      { signal },
    );

    const stop = effect(() => {
      store.wanted.value = heads.isOpen.value && view.value.seen ? wanted(heads, view.value) : [];
    });
    signal.addEventListener("abort", stop, { once: true });
    store.draw(signal, () => {
      const isOpen = heads.isOpen.value;
      host.toggleAttribute("hidden", !heads.nHeads.value);
      toggle.setAttribute("aria-expanded", String(isOpen));
      setText(toggle, store.words.allHeads(heads.nHeads.value));
      for (const node of [box, sortBy.field, note, told]) node.toggleAttribute("hidden", !isOpen);
      setOptions(sortBy.control, heads.sorts.value, heads.sort.value);
      const { status } = store.outline.value;
      const lacks = status === "recording" ? store.words.headsComing : store.words.headsAbsent;
      const sampled = [...store.heads.value.values()].find((head) => head.nRead < head.nQueries);
      const legend = store.words.headsLegend(turned.value);
      const all = sampled ? `${legend} ${store.words.headsSampled(sampled.nRead, sampled.nQueries)}` : legend;
      setText(note, store.heads.value.size < heads.nHeads.value ? lacks : all);
      content.style.height = `${heads.grid.value.height + 2 * EDGE}px`;
      box.setAttribute("aria-label", store.words.allHeads(heads.nHeads.value));
    });
    store.draw(signal, () => {
      if (!heads.isOpen.value || !view.value.width) return;
      const { top, width, height } = view.value;
      paintGrid(canvas, heads.grid.value, {
        ...heads,
        width,
        height,
        heads: store.heads.value,
        sort: heads.sort.value,
        selected: heads.selected.value,
        site: heads.site.value,
        dark: store.dark.value,
        turned: turned.value,
        across: acrossOf(store),
        left: left.value,
        top: top - EDGE,
      });
    });
    store.draw(signal, () => {
      const { name, numbers } = heads.tell(gazed());
      setText(told, [name, ...numbers].join(" · ") || store.words.headsHint);
      moveCell(cell, heads, cursor.value, left.value);
      cell.setAttribute("aria-label", [name || store.words.headsHint, numbers.join(", ")].filter(Boolean).join(": "));
      cell.setAttribute("aria-setsize", String(heads.grid.value.tiles.length));
      cell.setAttribute("aria-posinset", String(Math.max(0, gazed()) + 1));
      cell.setAttribute("aria-selected", String(gazed() === heads.selected.value));
    });
  },
};

/** How many cells of a head there are in a row of the picture, where keys are its patches and nothing else. */
const acrossOf =
  (store: Store) =>
  (head: Head): number => {
    const { sites, scenes } = store.outline.value;
    const site = sites[head.site];
    const [frames, rows, columns] = scenes[site?.key ?? ""]?.grid ?? [0, 0, 0];
    const cells = (columns * head.nColumns) / (rows * columns);
    return frames === 1 && rows * columns === site?.nKeys && Number.isInteger(cells) ? cells : 0;
  };

interface Seen {
  /** how far it is scrolled, and how large it is */
  top: number;
  width: number;
  height: number;
  /** whether any of it is on the screen */
  seen: boolean;
}

/** Follows what of an element that scrolls is seen. */
function watch(box: HTMLElement, view: Signal<Seen>, signal: AbortSignal): void {
  const resized = new ResizeObserver(() => {
    view.value = { ...view.value, width: box.clientWidth, height: box.clientHeight };
  });
  const shown = new IntersectionObserver((entries) => {
    view.value = { ...view.value, seen: entries.at(-1)?.isIntersecting ?? true };
  });
  resized.observe(box);
  shown.observe(box);
  box.addEventListener("scroll", () => (view.value = { ...view.value, top: box.scrollTop }), { signal });
  signal.addEventListener("abort", () => (resized.disconnect(), shown.disconnect()), { once: true });
}

/** Sites of whose heads something is seen and was not told; where heads are sorted, all that lack something. */
function wanted(heads: GridState, { top, height }: Seen): number[] {
  const lacking = heads.lacking.value;
  if (heads.sort.value !== "layer") return lacking;
  const { tiles } = heads.grid.value;
  const seen = new Set(linesIn(heads.grid.value, top, top + height).map(({ first }) => tiles[first]?.site ?? -1));
  return lacking.filter((site) => seen.has(site));
}

/** Scrolls so that a tile is seen whole. */
function reveal(box: HTMLElement, heads: GridState, index: number): void {
  const y = cornerOf(heads.grid.value, index)[1];
  const high = heads.grid.value.below + heads.grid.value.size + 2 * EDGE;
  if (y < box.scrollTop) box.scrollTop = y;
  else if (y + high > box.scrollTop + box.clientHeight) box.scrollTop = y + high - box.clientHeight;
}

/** Frames the tile that is pointed at. */
function moveCell(cell: HTMLElement, heads: GridState, cursor: number, left: number): void {
  const [x, y] = cornerOf(heads.grid.value, cursor);
  cell.toggleAttribute("data-gaze", cursor >= 0);
  cell.style.left = `${left + x}px`;
  cell.style.top = `${EDGE + y}px`;
  for (const side of ["width", "height"] as const) cell.style[side] = `${heads.grid.value.size}px`;
}
