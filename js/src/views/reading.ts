/** Numbers that are read off the weights of the step, and of all steps so far. */
import { Precision } from "../blocks.ts";
import { heading, html, setCount, setText } from "../dom.ts";
import { absentmindedness, coverageDeviation, entropy, precisionOf, row, strongest, type Matrix } from "../matrix.ts";
import type { Store } from "../store.ts";
import { isMask } from "../wire.ts";
import { short, shown } from "../text.ts";
import { judgeOf } from "./strength-bars.ts";

/** Inputs that a line names before it counts the rest, and how much of each it shows. */
const NAMED = 3;
const CHARACTERS = 14;
/** Scattering is not computed of more weights than this while somebody looks. */
const MAX_CELLS = 2 ** 20;

type Line = [name: string, value: string];

export function reading(store: Store, signal: AbortSignal): HTMLElement {
  const list = html("dl", "reading");
  const scattered = new WeakMap<Matrix, Line[]>();
  store.draw(signal, () => {
    const { matrix } = store.slice.value;
    const ofHead = scattered.get(matrix) ?? scattering(store);
    scattered.set(matrix, ofHead);
    const lines = [...readingOf(store), ...ofHead];
    const nodes = setCount(list, lines.length, () => html("div", "reading-line", {}, html("dt", ""), html("dd", "")));
    for (const [i, node] of nodes.entries()) {
      const [name, value] = node.children;
      if (name) setText(name, lines[i]?.[0] ?? "");
      if (value) setText(value, lines[i]?.[1] ?? "");
    }
  });
  return html("section", "step", {}, heading(store.words.reading), list);
}

function readingOf(store: Store): Line[] {
  const { site, matrix, keys } = store.slice.value;
  const { query, keys: gazed } = store.gaze.value;
  if (!matrix.nQueries) return [];
  const weights = row(matrix, query);
  const key = gazed[0] ?? strongest(weights, 1)[0];
  const { nSteps, values: received } = store.received.value;
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const name = (k: number) => shown(keys[k] ?? "", CHARACTERS);
  const isRow = precisionOf(matrix, query) > Precision.Pooled;
  const [weakest, coverage] = nSteps ? ofSums(store, name) : [];
  const lines: (Line | false | undefined)[] = [
    isRow && !(site && isMask(site)) && [store.words.entropy, store.words.bits(short(entropy(weights)))],
    key !== undefined && nSteps > 0 && [store.words.strengthOf(name(key)), short(received[key] ?? 0)],
    weakest,
    isRow && [store.words.rowsSum, Number.isFinite(sum) ? sum.toFixed(3).replace("-", "−") : "NaN"],
    site?.asks ? [store.words.asks, store.words.asksWith[site.asks]] : false,
    ...(nSteps ? verdicts(store, name) : []),
    coverage,
  ];
  return lines.filter((line) => line !== false && line !== undefined);
}

/** The input that received least so far, and how evenly all were read. */
function ofSums(store: Store, name: (key: number) => string): Line[] {
  const received = store.received.value.values.subarray(0, store.nRead.value);
  const apart = new Set(store.slice.value.special);
  const counted = apart.size ? received.filter((_, k) => !apart.has(k)) : received;
  let weakest = -1;
  for (const [k, value] of received.entries())
    if (!apart.has(k) && (weakest < 0 || value < (received[weakest] ?? 0))) weakest = k;
  return [
    [store.words.weakest, `“${name(weakest)}” ${short(received[weakest] ?? 0)}`],
    [store.words.coverageDeviation, short(coverageDeviation(counted))],
  ];
}

/** The inputs that received less or more than expected, in store.words. */
function verdicts(store: Store, name: (key: number) => string): Line[] {
  const judge = judgeOf(store);
  const found = { weak: [] as number[], strong: [] as number[] };
  const { values } = store.received.value;
  for (let key = 0; key < values.length; key++) {
    const verdict = judge(key, values[key] ?? 0);
    if (verdict) found[verdict].push(key);
  }
  return (["weak", "strong"] as const).flatMap((verdict): Line[] => {
    const keys = found[verdict];
    if (!keys.length || store.selection.value.strength === "step") return [];
    const rest = keys.length > NAMED ? [store.words.more(keys.length - NAMED)] : [];
    return [[store.words.verdicts[verdict], [...keys.slice(0, NAMED).map(name), ...rest].join(", ")]];
  });
}

/** How scattered all rows and columns of the head are. */
function scattering(store: Store): Line[] {
  const { matrix, site } = store.slice.value;
  const nCells = matrix.nQueries * matrix.nKeys;
  if (!nCells || nCells > MAX_CELLS || matrix.large || (site && isMask(site))) return [];
  const { out, into } = absentmindedness(matrix);
  return [[store.words.absentmindedness, store.words.outIn(short(out), short(into))]];
}
