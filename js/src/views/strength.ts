/** Strength over time: at each input, how much attention it received, in the steps so far or in this one. */
import { html, set, setCount, setStyle, setText, svg } from "../dom.ts";
import { cellAt, cellOf, tokensOf, type Axis } from "../scales.ts";
import type { Store } from "../store.ts";
import { short } from "../text.ts";
import { barsOf, expectedText, nameOf, nameOfBars, type Bar } from "./strength-bars.ts";
import type { View } from "./view.ts";

/** CSS pixels: how far bars reach, below the columns and beside the rows, and what their numbers and words need. */
const REACH = { below: 60, beside: 64 };
const TEXT_ROOM = { below: 20, beside: 64 };
const VALUE_PX = { below: 30, beside: 12 };
const WORD_PX = { below: 66, beside: 12 };
type Where = keyof typeof REACH;
let nDrawings = 0;

export const strength: View = {
  name: "strength",
  mount(host, store, layout, signal) {
    const id = `attnwidget-strength-${nDrawings++}`;
    const label = html("span", "strip-label");
    const rects = svg("g", "");
    const values = html("div", "strength-values", { "aria-hidden": "true" }); // the name of the drawing has them
    const base = svg("path", "strength-base");
    const line = svg("path", "strength-line");
    const means = svg("path", "strength-means");
    const drawing = svg("svg", "strength-drawing", { role: "img" }, hatching(id), rects, means, base, line);
    const expected = html("span", "strength-expected");
    host.append(label, html("div", "strength-chart", {}, drawing, values), expected);
    const keyAt = (event: MouseEvent) => {
      const box = drawing.getBoundingClientRect();
      const { keys, turned } = layout.value;
      const cell = cellAt(keys, turned ? event.clientY - box.top : event.clientX - box.left);
      return cell < 0 ? null : tokensOf(keys, cell)[0];
    };
    const hover = (key: number | null) => (store.focus.value = { query: null, key });
    drawing.addEventListener("pointermove", (event) => hover(keyAt(event)), { signal });
    drawing.addEventListener("pointerleave", () => hover(null), { signal });
    drawing.addEventListener(
      "click",
      (event) => {
        const key = keyAt(event);
        if (key !== null) store.toggleKey(key);
      },
      { signal },
    );
    store.draw(signal, () => {
      const { keys, turned } = layout.value;
      const where = turned ? "beside" : "below";
      const bars = barsOf(store, keys);
      const name = nameOfBars(store);
      const top = Math.max(1e-6, ...bars.map((bar) => Math.max(bar.value, (bar.expected ?? 0) * 1.2)));
      const size = keys.nCells * keys.size;
      const full = REACH[where] + TEXT_ROOM[where];
      setStyle(values, { width: `${turned ? full : size}px`, height: `${turned ? size : full}px` });
      setText(label, name);
      const names = bars.map(nameOf(store));
      setStyle(host, { "--attnwidget-bars": `${size}px` });
      set(drawing, {
        width: turned ? REACH[where] : size,
        height: turned ? size : REACH[where] + 1,
        "aria-label": `${name}: ${names.slice(0, 40).join("; ")}`,
      });
      drawBars(rects, bars, names, keys, top, store, id, where);
      writeValues(values, bars, keys, top, store, where);
      set(base, { d: where === "below" ? `M0 ${REACH.below + 0.5}H${size}` : `M0.5 0V${size}` });
      set(line, { d: lineOf(bars, keys, top, where) });
      set(means, { d: keys.per > 1 ? meansOf(bars, keys, top, where) : "" });
      const last = bars.at(-1)?.expected ?? null;
      setText(expected, last === null ? "" : expectedText(store, last));
      setStyle(expected, { top: turned ? null : `${reach(last ?? 0, top, "below")}px` });
    });
  },
};

/** Where a value ends: down from the top below the columns, right from the left beside the rows. */
function reach(value: number, top: number, where: Where): number {
  const share = Math.min(1, Math.max(0, value) / top);
  return REACH[where] * (where === "below" ? 1 - share : share);
}

function drawBars(
  group: SVGElement,
  bars: Bar[],
  names: string[],
  axis: Axis,
  top: number,
  store: Store,
  id: string,
  where: Where,
): void {
  const inset = axis.size > 20 ? axis.size * 0.2 : axis.size > 4 ? 0.5 : 0;
  const breadth = Math.max(0.5, axis.size - 2 * inset);
  const gazed = new Set(store.gaze.value.keys.map((key) => cellOf(axis, key)));
  const special = new Set(store.slice.value.special);
  const nodes = setCount(group, bars.length, () => svg("rect", "strength-bar", {}, svg("title", "")));
  for (const [cell, bar] of bars.entries()) {
    const node = nodes[cell];
    if (!node?.firstElementChild) continue;
    const start = cell * axis.size + inset;
    const end = reach(bar.value, top, where);
    const box =
      where === "below"
        ? { x: start, y: end, width: breadth, height: REACH.below - end }
        : { x: 0, y: start, width: end, height: breadth };
    set(node, { ...box, "data-gaze": gazed.has(cell), "data-apart": special.has(bar.from) });
    setStyle(node, { fill: bar.verdict && `url(#${id}-${bar.verdict})` });
    setText(node.firstElementChild, gazed.has(cell) ? (names[cell] ?? "") : ""); // to point at a bar is to gaze at it
  }
}

/** The values as numbers, where there is room for them. */
function writeValues(host: HTMLElement, bars: Bar[], axis: Axis, top: number, store: Store, where: Where): void {
  const fit = axis.size >= VALUE_PX[where];
  for (const [cell, node] of setCount(host, fit ? bars.length : 0, () => html("span", "strength-value")).entries()) {
    const bar = bars[cell];
    if (!bar) continue;
    const { value, verdict, expected } = bar;
    const middle = (cell + 0.5) * axis.size;
    const at =
      where === "below"
        ? { left: `${middle}px`, top: `${REACH.below + 3}px` }
        : {
            left: `${Math.max(reach(value, top, where), reach(expected ?? 0, top, where)) + 5}px`,
            top: `${middle - 8}px`,
          };
    setStyle(node, at);
    set(node, { "data-verdict": verdict || null });
    const isApart = store.slice.value.special.includes(bar.from);
    const word = verdict && axis.size >= WORD_PX[where] ? ` ${store.words.verdict[verdict]}` : "";
    setText(node, isApart && !value ? "" : short(value) + word);
  }
}

/** The mean of each cell, where a bar is the largest of several inputs. */
function meansOf(bars: Bar[], axis: Axis, top: number, where: Where): string {
  const marks = bars.map(({ mean }, cell) => {
    const at = reach(mean, top, where);
    const from = cell * axis.size;
    return where === "below" ? `M${from} ${at}h${axis.size}` : `M${at} ${from}v${axis.size}`;
  });
  return marks.join("");
}

/** The expectation as a line with a step at each input. */
function lineOf(bars: Bar[], axis: Axis, top: number, where: Where): string {
  const parts = bars.map(({ expected }, cell) => {
    if (expected === null) return "";
    const from = cell * axis.size;
    const at = reach(expected, top, where);
    return where === "below" ? `M${from} ${at}H${from + axis.size}` : `M${at} ${from}V${from + axis.size}`;
  });
  return joined(parts).join("");
}

/** Leaves out the moves between pieces that are at one height, so that their dashes run on. */
function joined(parts: string[]): string[] {
  const level = (part: string) => (part.includes("H") ? part.split(/[ H]/)[1] : part.split(/[M ]/)[1]);
  const end = (part: string) => part.slice(part.search(/[HV]/));
  return parts.map((part, i) =>
    i && part && parts[i - 1] && level(part) === level(parts[i - 1] ?? "") ? end(part) : part,
  );
}

/** Weak bars are hatched and strong ones crossed, so that the verdict does not hang on colour. */
function hatching(drawing: string): SVGElement {
  const pattern = (verdict: string, d: string) =>
    svg(
      "pattern",
      "",
      { id: `${drawing}-${verdict}`, width: 5, height: 5, patternUnits: "userSpaceOnUse" },
      svg("path", `strength-hatch attnwidget-strength-${verdict}`, { d }),
    );
  return svg(
    "defs",
    "",
    {},
    pattern("weak", "M-1 6L6 -1M-1 1L1 -1M4 6L6 4"),
    pattern("strong", "M-1 6L6 -1M-1 -1L6 6"),
  );
}
