/** The bars of the strength chart, as numbers and words: pure. */
import { row } from "../matrix.ts";
import { pooled, tokensOf, type Axis } from "../scales.ts";
import type { Store } from "../store.ts";
import { exact, short, shown } from "../text.ts";

/** Below and above these shares of the expectation an input is called weak or strong. */
export const WEAK = 0.5;
export const STRONG = 1.5;

export interface Bar {
  from: number;
  to: number;
  value: number;
  /** of all inputs of the cell */
  mean: number;
  expected: number | null;
  verdict: "" | "weak" | "strong";
}

/** One bar for each cell of the axis; a cell of several inputs shows the strongest. */
export function barsOf(store: Store, axis: Axis): Bar[] {
  const { matrix, special } = store.slice.value;
  const { query } = store.gaze.value;
  const judge = judgeOf(store);
  const values = store.selection.value.strength === "sum" ? store.received.value.values : row(matrix, query);
  return [...pooled(axis, values)].map((value, cell) => {
    const [from, to] = tokensOf(axis, cell);
    const expected = special.includes(from) ? null : store.expected.value(from);
    const verdict = judge(from, value);
    const mean = to - from === 1 ? value : meanOf(values, from, to);
    return { from, to, value: Number.isNaN(value) ? 0 : value, mean, expected, verdict };
  });
}

function meanOf(values: ArrayLike<number>, from: number, to: number): number {
  let sum = 0;
  for (let k = from; k < to; k++) sum += values[k] || 0;
  return sum / (to - from);
}

type Verdict = Bar["verdict"];

/** Says of an input and its strength whether that is less or more than expected. */
export function judgeOf(store: Store): (key: number, value: number) => Verdict {
  const expectedOf = store.expected.value;
  const apart = new Set(store.slice.value.special);
  const nRead = store.nRead.value;
  if (store.nSeen.value * 2 < store.slice.value.matrix.nQueries) return () => ""; // before half of it all are weak
  return (key, value) => {
    const expected = apart.has(key) || key >= nRead ? null : expectedOf(key);
    return expected === null ? "" : verdictOf(value, expected);
  };
}

/** What the bars stand for. Of a large head sums may not have come, or be of somewhat fewer steps. */
export function nameOfBars(store: Store): string {
  const { site } = store.slice.value;
  if (store.selection.value.strength === "step") return store.words.strengths.step;
  const { nSteps } = store.received.value;
  if (nSteps !== store.nSeen.value) return nSteps ? store.words.strengthAfter(nSteps) : store.words.strengthWaits;
  return site?.kind === "encoder" ? store.words.strengthOfAll : store.words.strengths.sum;
}

/** What is expected to receive nothing is strong from half of what one step gives. */
const verdictOf = (value: number, expected: number) =>
  value < expected * WEAK ? "weak" : value > (expected ? expected * STRONG : WEAK) ? "strong" : "";

export const expectedText = (store: Store, value: number) =>
  store.selection.value.expectation === "own"
    ? store.words.ownExpected
    : store.words.expected(value === 1 ? "1" : short(value));

export const nameOf = (store: Store) => (bar: Bar) =>
  [
    shown(store.slice.value.keys[bar.from] ?? ""),
    bar.to - bar.from > 1
      ? store.words.mostAndMean(bar.to - bar.from, exact(bar.value), short(bar.mean))
      : exact(bar.value),
    store.words.verdict[bar.verdict],
  ]
    .filter(Boolean)
    .join(" ");
