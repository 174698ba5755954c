/** Links between the strips: the strongest weights of the step, or of the input that is looked at. */
import { html, set, setCount, setText, svg } from "../dom.ts";
import { at, row, strongest } from "../matrix.ts";
import { middle } from "../scales.ts";
import type { Store } from "../store.ts";
import { short, words } from "../words.ts";
import type { Layout } from "./layout.ts";
import type { View } from "./view.ts";

export const MAX_LINKS = 2000;
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
      set(drawing, { "aria-label": `${words.links}: ${found.length}`, width: input.nCells * input.size });
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
  const hovered = store.focus.value.key;
  const of = (q: number): Link[] => {
    const weights = row(matrix, q);
    const best = strongest(weights, PER_STEP);
    const least = (weights[best[0] ?? 0] ?? 0) * LEAST_SHARE;
    return best.filter((k) => (weights[k] ?? 0) >= least).map((key) => link(q, key));
  };
  const link = (q: number, key: number): Link => ({
    query: q,
    key,
    weight: at(matrix, q, key),
    gazed: q === query || keys.includes(key),
  });
  const steps = Array.from({ length: store.selection.value.step + 1 }, (_, q) => q).filter((q) => q < matrix.nQueries);
  let found = shown === "all" ? steps.flatMap(of) : of(query);
  if (hovered !== null) found = steps.map((q) => link(q, hovered)).filter(({ weight }) => weight >= LEAST_SHARE);
  return found.sort((a, b) => Number(a.gazed) - Number(b.gazed) || a.weight - b.weight).slice(-MAX_LINKS);
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
