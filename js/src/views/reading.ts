/** Numbers that are read off the weights of the step, and of all steps so far. */
import { heading, html, setCount, setText } from "../dom.ts";
import { absentmindedness, coverageDeviation, entropy, row, strongest, type Matrix } from "../matrix.ts";
import { axis } from "../scales.ts";
import type { Store } from "../store.ts";
import { isMask } from "../wire.ts";
import { short, shown, words } from "../words.ts";
import { barsOf } from "./strength.ts";

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
  return html("section", "step", {}, heading(words.reading), list);
}

function readingOf(store: Store): Line[] {
  const { site, matrix, keys, special } = store.slice.value;
  const { query, keys: gazed } = store.gaze.value;
  if (!matrix.nQueries) return [];
  const weights = row(matrix, query);
  const received = store.received.value.subarray(0, store.nRead.value);
  const key = gazed[0] ?? strongest(weights, 1)[0];
  const counted = [...received.keys()].filter((k) => !special.includes(k));
  const weakest = counted.reduce(
    (least, k) => ((received[k] ?? 0) < (received[least] ?? 0) ? k : least),
    counted[0] ?? 0,
  );
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const name = (k: number) => shown(keys[k] ?? "", CHARACTERS);
  const lines: (Line | false)[] = [
    !(site && isMask(site)) && [words.entropy, words.bits(short(entropy(weights)))],
    key !== undefined && [words.strengthOf(name(key)), short(received[key] ?? 0)],
    [words.weakest, `“${name(weakest)}” ${short(received[weakest] ?? 0)}`],
    [words.rowsSum, Number.isFinite(sum) ? sum.toFixed(3).replace("-", "−") : "NaN"],
    site?.asks ? [words.asks, words.asksWith[site.asks]] : false,
    ...verdicts(store, name),
    [words.coverageDeviation, short(coverageDeviation(counted.map((k) => received[k] ?? 0)))],
  ];
  return lines.filter((line) => line !== false);
}

/** The inputs that received less or more than expected, in words. */
function verdicts(store: Store, name: (key: number) => string): Line[] {
  const { nKeys } = store.slice.value.matrix;
  const bars = barsOf(store, axis(nKeys, nKeys, 1, 1));
  return (["weak", "strong"] as const).flatMap((verdict): Line[] => {
    const found = bars.filter((bar) => bar.verdict === verdict).map((bar) => bar.from);
    if (!found.length) return [];
    const rest = found.length > NAMED ? [words.more(found.length - NAMED)] : [];
    return [[words.verdicts[verdict], [...found.slice(0, NAMED).map(name), ...rest].join(", ")]];
  });
}

/** How scattered all rows and columns of the head are. */
function scattering(store: Store): Line[] {
  const { matrix, site } = store.slice.value;
  const nCells = matrix.nQueries * matrix.nKeys;
  if (!nCells || nCells > MAX_CELLS || (site && isMask(site))) return [];
  const { out, into } = absentmindedness(matrix);
  return [[words.absentmindedness, words.outIn(short(out), short(into))]];
}
