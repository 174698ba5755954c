/** Links between the strips: the strongest weights of the step, or of the input that is looked at. */
import { html, set, setCount, setText, svg } from "../dom.ts";
import { column, row, strongest, type Matrix } from "../matrix.ts";
import { middle } from "../scales.ts";
import type { Store } from "../store.ts";
import { short } from "../text.ts";
import type { Layout } from "./layout.ts";
import type { View } from "./view.ts";

export const MAX_LINKS = 400;
/** Links of one step, and the least share of the row's maximum that is drawn. */
const PER_STEP = 8;
const LEAST_SHARE = 0.05;
/** CSS pixels. */
const HEIGHT = 58;
const MAX_WIDTH = 10;

export interface Link {
  query: number;
  key: number;
  weight: number;
  gazed: boolean;
}

export const links: View = {
  name: "links",
  mount(host, store, layout, signal) {
    const drawing = svg("svg", "links-drawing", { role: "img", height: HEIGHT });
    host.append(html("span", "strip-label"), drawing);
    store.draw(signal, () => {
      const { keyScene, queryScene } = store.slice.value;
      host.toggleAttribute("hidden", Boolean(keyScene ?? queryScene)); // the weights lie over the scene itself
      const found = (keyScene ?? queryScene) ? [] : chosenLinks(store);
      const { input } = layout.value;
      set(drawing, { "aria-label": `${store.words.links}: ${found.length}`, width: input.nCells * input.size });
      const curves = setCount(drawing, found.length, () => svg("path", "link", {}, svg("title", "")));
      for (const [i, link] of found.entries()) bend(curves[i], link, layout.value);
    });
  },
};

/** The links to draw, strongest last, so that they lie on top. */
export function chosenLinks(store: Store): Link[] {
  const { matrix } = store.slice.value;
  const { query, keys } = store.gaze.value;
  const shown = store.links.value;
  if (shown === "none" || !matrix.nQueries) return [];
  const { key: hovered } = store.focus.value;
  const end = Math.min(store.selection.value.step + 1, matrix.nQueries);
  const found =
    hovered !== null ? onKey(matrix, hovered, end) : shown === "all" ? upTo(matrix, end) : ofRow(matrix, query);
  return found
    .map((link) => ({ ...link, gazed: link.query === query || keys.includes(link.key) }))
    .sort((a, b) => Number(a.gazed) - Number(b.gazed) || a.weight - b.weight)
    .slice(-MAX_LINKS);
}

type Pair = Omit<Link, "gazed">;

/** Which rows look at a key, of the first ones. */
function onKey(matrix: Matrix, key: number, end: number): Pair[] {
  const weights = column(matrix, key).subarray(0, end);
  return strongest(weights, MAX_LINKS, LEAST_SHARE).map((query) => ({ query, key, weight: weights[query] ?? 0 }));
}

function ofRow(matrix: Matrix, query: number): Pair[] {
  const weights = row(matrix, query);
  const best = strongest(weights, PER_STEP);
  const least = (weights[best[0] ?? 0] ?? 0) * LEAST_SHARE;
  return best.filter((key) => (weights[key] ?? 0) >= least).map((key) => ({ query, key, weight: weights[key] ?? 0 }));
}

const ofRows = new WeakMap<Matrix, Pair[][]>();

/** The links of the first rows; of a large head of those that came. */
function upTo(matrix: Matrix, end: number): Pair[] {
  if (matrix.large) return [...matrix.large.rows.keys()].filter((q) => q < end).flatMap((q) => ofRow(matrix, q));
  const known = ofRows.get(matrix) ?? [];
  ofRows.set(matrix, known);
  for (let q = known.length; q < end; q++) known.push(ofRow(matrix, q));
  return known.slice(0, end).flat();
}

function bend(curve: SVGElement | undefined, { query, key, weight, gazed }: Link, layout: Layout): void {
  if (!curve?.firstElementChild) return;
  const x0 = middle(layout.input, key);
  const x1 = middle(layout.output, query);
  const strength = Math.max(0, Math.min(1, weight));
  set(curve, {
    d: `M${x0} 0C${x0} ${HEIGHT * 0.65} ${x1} ${HEIGHT * 0.35} ${x1} ${HEIGHT}`,
    "stroke-width": Math.max(0.75, strength * MAX_WIDTH),
    "stroke-opacity": 0.25 + 0.6 * strength,
    "data-gaze": gazed,
  });
  setText(curve.firstElementChild, short(weight));
}
