/** What the input and the output are to those who draw them: tokens, their shades, and what pointing at one does. */
import type { ReadonlySignal } from "@preact/signals-core";
import { clamp, move, take } from "../keys.ts";
import { column, row } from "../matrix.ts";
import { readsItself } from "../outline.ts";
import type { Axis } from "../scales.ts";
import type { Store } from "../store.ts";
import type { Scene } from "../wire.ts";
import type { Layout } from "./layout.ts";

export interface Strip {
  /** name in the trace */
  name: () => string | undefined;
  label: () => string;
  axis: () => Axis;
  texts: () => string[];
  /** what the tokens are parts of, if they are not words */
  scene: () => Scene | null;
  /** weights that shade the tokens; null for none */
  shades: () => Float32Array | null;
  gazed: () => number;
  locked: () => number[];
  ghost: (token: number) => boolean;
  hover: (token: number | null) => void;
  choose: (token: number) => void;
}

/** The input, shaded by the weights of the step. */
export const inputOf = (store: Store, layout: ReadonlySignal<Layout>): Strip => ({
  name: () => store.slice.value.site?.key,
  label: () => axisName(store, "key"),
  axis: () => layout.value.input,
  texts: () => store.slice.value.keys,
  scene: () => store.slice.value.keyScene,
  shades: () => row(store.slice.value.matrix, store.gaze.value.query),
  gazed: () => store.gaze.value.keys[0] ?? -1,
  locked: () => store.selection.value.locked,
  ghost: (key) => key >= store.nRead.value || store.slice.value.special.includes(key),
  hover: (key) => (store.focus.value = { query: null, key }),
  choose: store.toggleKey,
});

/** The output, shaded by the weights on the input that is looked at. */
export const outputOf = (store: Store, layout: ReadonlySignal<Layout>): Strip => ({
  name: () => store.slice.value.site?.query,
  label: () => axisName(store, "query"),
  axis: () => layout.value.output,
  texts: () => store.slice.value.queries,
  scene: () => store.slice.value.queryScene,
  shades: () => {
    const { matrix } = store.slice.value;
    const key = store.gaze.value.keys[0];
    return key === undefined ? null : column(matrix, key);
  },
  gazed: () => store.gaze.value.query,
  locked: () => [store.selection.value.step],
  ghost: (query) => query >= store.nReached.value,
  hover: (query) => (store.focus.value = { query, key: null }),
  choose: (step) => store.select({ step: Math.min(step, store.slice.value.matrix.nQueries - 1) }),
});

/** What the tokens of an axis are, in store.words. */
export function axisName(store: Store, side: "key" | "query"): string {
  const { site } = store.slice.value;
  if (side === "key" && site && readsItself(site)) return store.words.context;
  if (!site || site.query !== site.key) return side === "key" ? store.words.input : store.words.output;
  return side === "key" ? store.words.keys : store.words.queries;
}

/** Has arrow keys move from token to token, Enter choose one, and Escape let all go. `perRow` tokens are one row down. */
export function readByKeys(
  node: HTMLElement,
  store: Store,
  strip: Strip,
  signal: AbortSignal,
  perRow: () => number,
): void {
  node.addEventListener(
    "keydown",
    (event) => {
      const step = move(event);
      const by = step ? step.columns + step.rows * perRow() : 0;
      if (by) strip.hover(clamp(Math.max(0, strip.gazed()) + by, strip.texts().length));
      else if (event.key === "Enter" || event.key === " ") strip.choose(Math.max(0, strip.gazed()));
      else if (event.key === "Escape") {
        strip.hover(null);
        store.select({ locked: [] });
      } else return;
      take(event);
    },
    { signal },
  );
}
