/** The way from query and key to a weight, recomputed from what was recorded: pure. */
import { at, type Matrix } from "../matrix.ts";
import type { Terms } from "../wire.ts";
import { exact } from "../text.ts";
import type { Words } from "../words/index.ts";

export interface Row {
  name: string;
  values: Float32Array;
}

export interface Steps {
  /** vectors to draw, feature under feature */
  rows: Row[];
  /** each with its value */
  steps: [name: string, value: string][];
  /** what the terms come to; NaN where there are none */
  weight: number;
}

/** Weights that differ by more than this part were changed after the softmax. */
const CHANGED = 0.005;

/** The steps for one cell; null while it is not known what was recorded. */
export function stepsOf(
  terms: Terms | undefined,
  key: number,
  matrix: Matrix | null,
  query: number,
  words: Words,
): Steps | null {
  if (!terms) return null;
  const recorded: [string, string][] = matrix ? [[words.whyRecorded, exact(at(matrix, query, key))]] : [];
  const scores = terms.arrays.scores;
  if (!scores) return { rows: [], steps: [[words.whyNothing, ""], ...recorded], weight: Number.NaN };
  if (key >= scores.length) return { rows: [], steps: [[words.whyLater, "0"], ...recorded], weight: 0 };
  const { rows, steps } =
    terms.form === "dot"
      ? dot(terms, key, words)
      : terms.form === "additive"
        ? additive(terms, key, words)
        : unknown(words);
  const bias = terms.arrays.bias?.[key];
  if (bias) steps.push([words.whyBias, exact(bias)]);
  const score = scores[key] ?? Number.NaN;
  steps.push(score === Number.NEGATIVE_INFINITY ? [words.whyHidden, "−∞"] : [words.whyScore, exact(score)]);
  const { exponential, total, weight } = softmax(scores, key, terms.sink);
  steps.push(
    [words.whyExponential, exact(exponential)],
    [words.whyTotal(scores.length, terms.sink !== null), exact(total)],
  );
  steps.push([words.whySoftmax, exact(weight)]);
  const drawn = matrix ? at(matrix, query, key) : weight;
  if (Math.abs(drawn - weight) > CHANGED * Math.max(drawn, weight))
    steps.push([words.whyChanged, exact(drawn / weight)]);
  return { rows, steps: [...steps, ...recorded], weight };
}

type Part = Pick<Steps, "rows" | "steps">;

const unknown = (words: Words): Part => ({ rows: [], steps: [[words.whyUnknown, ""]] });

function dot({ arrays, scale, softcap }: Terms, key: number, words: Words): Part {
  const query = arrays.query ?? new Float32Array(0);
  const ofKey = (arrays.keys ?? new Float32Array(0)).subarray(key * query.length, (key + 1) * query.length);
  const product = query.map((value, i) => value * (ofKey[i] ?? 0));
  const sum = product.reduce((total, value) => total + value, 0);
  const steps: Part["steps"] = [[words.whyDot, exact(sum)]];
  if (scale !== 1) steps.push([words.whyScale(exact(scale)), exact(sum * scale)]);
  if (softcap !== null) steps.push([words.whyCap(exact(softcap)), exact(softcap * Math.tanh((sum * scale) / softcap))]);
  return {
    rows: [
      { name: words.whyQuery, values: query },
      { name: words.whyKey, values: ofKey },
      { name: words.whyProduct, values: product },
    ],
    steps,
  };
}

function additive({ arrays }: Terms, key: number, words: Words): Part {
  const vector = arrays.vector ?? new Float32Array(0);
  const pair = (arrays.pairs ?? new Float32Array(0)).subarray(key * vector.length, (key + 1) * vector.length);
  const { query } = arrays;
  const product = pair.map((value, i) => Math.tanh(value) * (vector[i] ?? 0));
  const own: Row[] = query
    ? [
        { name: "W s", values: query },
        { name: "W h", values: pair.map((value, i) => value - (query[i] ?? 0)) },
      ]
    : [{ name: "W [s; h]", values: pair }];
  return {
    rows: [
      ...own,
      { name: "tanh", values: pair.map(Math.tanh) },
      { name: "v", values: vector },
      { name: "v · tanh", values: product },
    ],
    steps: [[words.whyAdditive, exact(product.reduce((total, value) => total + value, 0))]],
  };
}

function softmax(scores: Float32Array, key: number, sink: number | null) {
  const top = scores.reduce((most, score) => Math.max(most, score), sink ?? Number.NEGATIVE_INFINITY);
  const power = (score: number) => (top === Number.NEGATIVE_INFINITY ? 0 : Math.exp(score - top));
  const total = scores.reduce((sum, score) => sum + power(score), sink === null ? 0 : power(sink));
  const exponential = power(scores[key] ?? Number.NEGATIVE_INFINITY);
  return { exponential, total, weight: total ? exponential / total : 0 };
}
