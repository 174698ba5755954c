/** Strength over time: under each column, how much attention its input received in the steps so far. */
import { html, setText, svg } from "../dom.ts";
import { strength as strengthOf } from "../matrix.ts";
import { cellAt, cellOf, pooled, tokensOf, type Axis } from "../scales.ts";
import type { Store } from "../store.ts";
import { exact, short, shown, words } from "../words.ts";
import type { View } from "./view.ts";

/** CSS pixels. */
const HEIGHT = 60;
const VALUE_PX = 30;
const WORD_PX = 84;
/** Below and above these shares of the expectation an input is called weak or strong. */
export const WEAK = 0.5;
export const STRONG = 1.5;

export interface Bar {
  from: number;
  to: number;
  value: number;
  verdict: "" | "weak" | "strong";
}

let nDrawings = 0;

export const strength: View = {
  name: "strength",
  mount(host, store, layout, signal) {
    const id = `attnwidget-strength-${nDrawings++}`;
    const label = html("span", "strip-label", {}, words.strength);
    const drawing = svg("svg", "strength-drawing", { role: "img", height: HEIGHT + 20 });
    const expected = html("span", "strength-expected");
    host.append(label, drawing, expected);
    drawing.addEventListener(
      "pointermove",
      (event) => {
        const cell = cellAt(layout.value.keys, event.clientX - drawing.getBoundingClientRect().left);
        store.focus.value = { query: null, key: cell < 0 ? null : tokensOf(layout.value.keys, cell)[0] };
      },
      { signal },
    );
    drawing.addEventListener("pointerleave", () => (store.focus.value = { query: null, key: null }), { signal });
    drawing.addEventListener(
      "click",
      (event) => {
        const cell = cellAt(layout.value.keys, event.clientX - drawing.getBoundingClientRect().left);
        if (cell >= 0) store.toggleKey(tokensOf(layout.value.keys, cell)[0]);
      },
      { signal },
    );
    store.draw(signal, () => {
      const { keys } = layout.value;
      const bars = barsOf(store, keys);
      const line = store.expected.value;
      const top = Math.max(1e-6, (line ?? 0) * 1.2, ...bars.map((bar) => bar.value));
      const y = (value: number) => HEIGHT * (1 - Math.min(1, Math.max(0, value) / top));
      drawing.setAttribute("width", String(keys.nCells * keys.size));
      drawing.setAttribute("aria-label", `${words.strength}: ${bars.slice(0, 40).map(nameOf(store)).join("; ")}`);
      drawing.replaceChildren(
        hatching(id),
        ...bars.flatMap((bar, cell) => barNodes(bar, cell, keys, y, store, id)),
        svg("path", "strength-base", { d: `M0 ${HEIGHT + 0.5}H${keys.nCells * keys.size}` }),
        ...(line === null ? [] : [svg("path", "strength-line", { d: `M0 ${y(line)}H${keys.nCells * keys.size}` })]),
      );
      setText(expected, line === null ? "" : words.expected(line === 1 ? "1" : short(line)));
      expected.style.top = `${y(line ?? 0)}px`;
    });
  },
};

/** One bar for each cell of the axis; a cell of several inputs shows the strongest. */
export function barsOf(store: Store, axis: Axis): Bar[] {
  const { matrix } = store.slice.value;
  const n = store.gaze.value.query + 1;
  const line = store.expected.value;
  const judged = line !== null && n * 2 >= matrix.nQueries; // before half of the output every input is weak
  return [...pooled(axis, strengthOf(matrix, n))].map((value, cell) => {
    const [from, to] = tokensOf(axis, cell);
    const verdict =
      !judged || from >= store.nRead.value ? "" : value < line * WEAK ? "weak" : value > line * STRONG ? "strong" : "";
    return { from, to, value: Number.isNaN(value) ? 0 : value, verdict };
  });
}

const nameOf = (store: Store) => (bar: Bar) =>
  `${shown(store.slice.value.keys[bar.from] ?? "")} ${exact(bar.value)}${bar.verdict && ` ${words[bar.verdict]}`}`;

function barNodes(
  bar: Bar,
  cell: number,
  axis: Axis,
  y: (value: number) => number,
  store: Store,
  id: string,
): SVGElement[] {
  const inset = axis.size > 20 ? axis.size * 0.2 : axis.size > 4 ? 0.5 : 0;
  const rect = svg("rect", "strength-bar", {
    x: cell * axis.size + inset,
    y: y(bar.value),
    width: Math.max(0.5, axis.size - 2 * inset),
    height: HEIGHT - y(bar.value),
  });
  rect.append(svg("title", "", {}, nameOf(store)(bar)));
  rect.toggleAttribute(
    "data-gaze",
    store.gaze.value.keys.some((key) => cellOf(axis, key) === cell),
  );
  if (bar.verdict) rect.style.fill = `url(#${id}-${bar.verdict})`;
  if (axis.size < VALUE_PX) return [rect];
  const text = short(bar.value) + (bar.verdict && axis.size >= WORD_PX ? ` ${words[bar.verdict]}` : "");
  const value = svg(
    "text",
    "strength-value",
    { x: (cell + 0.5) * axis.size, y: HEIGHT + 15, "text-anchor": "middle" },
    text,
  );
  return [rect, value];
}

/** Weak bars are hatched and strong ones crossed, so that the verdict does not hang on colour. */
function hatching(drawing: string): SVGElement {
  const pattern = (id: string, d: string) =>
    svg(
      "pattern",
      "",
      { id: `${drawing}-${id}`, width: 5, height: 5, patternUnits: "userSpaceOnUse" },
      svg("path", "strength-hatch", { d }),
    );
  return svg(
    "defs",
    "",
    {},
    pattern("weak", "M-1 6L6 -1M-1 1L1 -1M4 6L6 4"),
    pattern("strong", "M-1 6L6 -1M-1 -1L6 6"),
  );
}
