/** The step in one sentence, for eyes and for screen readers. */
import { html, setText } from "../dom.ts";
import { row, strongest } from "../matrix.ts";
import type { Store } from "../store.ts";
import { isMask } from "../wire.ts";
import { percent, shown } from "../text.ts";
import type { View } from "./view.ts";

/** The live region speaks at most this often, and not while playing, in milliseconds. */
const SPEAK_EVERY = 1000;

export const sentence: View = {
  name: "sentence",
  mount(host, store, _layout, signal) {
    const text = html("p", "sentence-text");
    const spoken = html("p", "spoken", { "aria-live": "polite" });
    host.append(text, spoken);
    let timer: ReturnType<typeof setTimeout> | undefined;
    store.draw(signal, () => {
      setText(text, sentenceOf(store));
      if (store.playing.value || timer !== undefined) return;
      timer = setTimeout(() => {
        timer = undefined;
        if (!store.playing.value) setText(spoken, sentenceOf(store));
      }, SPEAK_EVERY);
    });
    signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  },
};

/** What the weights of the gazed step suggest. */
export function sentenceOf(store: Store): string {
  const { site, matrix, queries, keys } = store.slice.value;
  const { query } = store.gaze.value;
  if (!matrix.nQueries) return store.nSteps.value ? store.words.noWeights : store.words.waiting;
  const weights = row(matrix, query);
  const [first, second] = strongest(weights, 2);
  const token = shown(queries[query] ?? "");
  const name = store.words.rowNames[site?.kind ?? "cross"];
  const told = name.charAt(0).toUpperCase() + name.slice(1);
  if (first === undefined) return store.words.noSentence(told, query, token);
  if (site && isMask(site))
    return store.words.maskSentence(told, query, token, (weights[first] ?? 0).toFixed(2), shown(keys[first] ?? ""));
  const main = store.words.sentence(told, query, token, percent(weights[first] ?? 0), shown(keys[first] ?? ""));
  return second === undefined
    ? main
    : main + store.words.other(shown(keys[second] ?? ""), percent(weights[second] ?? 0));
}
