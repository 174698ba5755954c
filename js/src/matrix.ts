/** The weights of one head as far as they have come: rows arrive in any order, more than once, at any precision. */
import { nCells, Precision, type Block } from "./blocks.ts";
import { columnOf, nothing, rowOf, ROWS_BYTES, sumsOf, withBlock, type Large } from "./large.ts";

export interface Matrix {
  nQueries: number;
  nKeys: number;
  /** weights, row by row: [query, key]; rows that did not come are NaN; none where the head is too large */
  values: Float32Array;
  /** how near each row is to what was recorded */
  precision: Uint8Array;
  /** what is known of a head that is too large to be here whole */
  large: Large | null;
}

/** More weights than this come together in a page only where they come at once. */
const MAX_GROWN = 2 ** 22;

export const empty = (): Matrix => ({
  nQueries: 0,
  nKeys: 0,
  values: new Float32Array(0),
  precision: new Uint8Array(0),
  large: null,
});

export const at = (matrix: Matrix, q: number, k: number): number =>
  (matrix.large ? rowOf(matrix.large, q, matrix.nKeys)[k] : matrix.values[q * matrix.nKeys + k]) ?? Number.NaN;

/** A row; of a large head, if it did not come, the largest weights around it. */
export function row(matrix: Matrix, q: number): Float32Array {
  if (matrix.large) return rowOf(matrix.large, q, matrix.nKeys);
  return matrix.values.subarray(q * matrix.nKeys, (q + 1) * matrix.nKeys);
}

/** How near a row is to what was recorded. */
export function precisionOf({ large, precision }: Matrix, q: number): Precision {
  if (!large) return precision[q] ?? Precision.Missing;
  if (large.rows.has(q)) return Precision.Exact;
  return large.planes.length ? Precision.Pooled : Precision.Missing;
}

/** The weights of all queries on one key. */
export function column(matrix: Matrix, k: number): Float32Array {
  if (matrix.large) return columnOf(matrix.large, k, matrix.nQueries);
  const weights = new Float32Array(matrix.nQueries);
  for (let q = 0; q < weights.length; q++) weights[q] = at(matrix, q, k);
  return weights;
}

/** Returns a matrix that holds the block too, of a head that has so many queries and keys by now. */
export function merged(matrix: Matrix, block: Block, shape: { nQueries: number; nKeys: number }): Matrix {
  const isWhole = block.whole && block.queries.per * block.keys.per === 1;
  const nQueries = Math.max(matrix.nQueries, isWhole ? block.queries.end : shape.nQueries);
  const nKeys = Math.max(matrix.nKeys, isWhole ? block.keys.end : shape.nKeys);
  const isAll = isWhole && block.queries.first === 0 && block.queries.end === nQueries;
  if (!isAll && (matrix.large || !isWhole || nQueries * nKeys > MAX_GROWN)) {
    const large = withBlock(matrix.large ?? opened(matrix, block), block, nKeys);
    return { ...empty(), nQueries, nKeys, large };
  }
  const same = !matrix.large && nQueries === matrix.nQueries && nKeys === matrix.nKeys;
  const next = same ? matrix : grown(matrix.large ? empty() : matrix, nQueries, nKeys);
  const values = block.values();
  const width = nCells(block.keys);
  for (let q = block.queries.first, i = 0; q < block.queries.end; q++, i += width) {
    if (block.precision < (next.precision[q] ?? 0)) continue;
    next.precision[q] = block.precision;
    next.values.fill(0, q * nKeys, (q + 1) * nKeys);
    next.values.set(values.subarray(i, i + width), q * nKeys);
  }
  return { ...next };
}

/** The last rows and the sums of a head that grew too large to be here whole. */
function opened(matrix: Matrix, { site, head }: Block): Large {
  const first = Math.max(0, matrix.nQueries - Math.ceil(ROWS_BYTES / 4 / Math.max(1, matrix.nKeys)));
  const last = Array.from({ length: matrix.nQueries - first }, (_, i) => first + i);
  const known = last.filter((q) => matrix.precision[q]);
  const nSteps = worst(matrix) > Precision.Missing ? matrix.nQueries : 0;
  const sums = nSteps ? [{ site, head, nSteps, values: Float32Array.from(strength(matrix, nSteps)) }] : [];
  return { ...nothing(), rows: new Map(known.map((q) => [q, row(matrix, q).slice()])), sums };
}

function grown(matrix: Matrix, nQueries: number, nKeys: number): Matrix {
  const precision = new Uint8Array(nQueries);
  precision.set(matrix.precision);
  const values = matrix.nKeys === nKeys ? longer(matrix.values, nQueries * nKeys) : roomy(nQueries * nKeys);
  if (matrix.nKeys !== nKeys)
    for (let q = 0; q < matrix.nQueries; q++) {
      values.fill(0, q * nKeys, (q + 1) * nKeys);
      values.set(row(matrix, q), q * nKeys);
    }
  return { nQueries, nKeys, values, precision, large: null };
}

/** So many weights that are NaN, with room behind them: rows that come one by one are not copied each time. */
function roomy(n: number): Float32Array {
  return new Float32Array(Math.ceil(n * 1.5)).subarray(0, n).fill(Number.NaN);
}

/** The same weights with others behind them that are NaN. */
function longer(values: Float32Array, n: number): Float32Array {
  const fits = values.byteOffset === 0 && values.buffer.byteLength >= 4 * n;
  const found = fits ? new Float32Array(values.buffer, 0, n) : roomy(n);
  if (!fits) found.set(values);
  return found.fill(Number.NaN, values.length);
}

/** The mean over heads, each of which is asked for when its turn is; null while a head lacks rows. */
export function mean(heads: (() => Matrix | undefined)[]): Matrix | null {
  const first = heads[0]?.();
  if (heads.length === 1) return first ?? null;
  if (!first || first.large) return null;
  const sums = Float64Array.from(first.values);
  const precision = first.precision.slice();
  for (const ask of heads.slice(1)) {
    const head = ask();
    if (!head || head.large || head.nQueries !== first.nQueries || head.nKeys !== first.nKeys) return null;
    for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] ?? 0) + (head.values[i] ?? Number.NaN);
    for (let q = 0; q < precision.length; q++) precision[q] = Math.min(precision[q] ?? 0, head.precision[q] ?? 0);
  }
  const values = new Float32Array(sums.length);
  for (let i = 0; i < sums.length; i++) values[i] = (sums[i] ?? 0) / heads.length;
  return { ...first, precision, values };
}

/** The least precision of any of its rows. */
export function worst(matrix: Matrix): Precision {
  if (matrix.large) return matrix.large.planes.length ? Precision.Pooled : Precision.Missing;
  let least: Precision = Precision.Exact;
  for (let q = 0; q < matrix.nQueries; q++) least = Math.min(least, matrix.precision[q] ?? 0);
  return least;
}

const tops = new WeakMap<Matrix, number>();

/** The greatest weight, at least 0. */
export function greatest(matrix: Matrix): number {
  const known = tops.get(matrix);
  if (known !== undefined) return known;
  let most = 0;
  for (const { values } of matrix.large?.planes ?? [matrix])
    for (const weight of values) if (weight > most) most = weight;
  tops.set(matrix, most);
  return most;
}

/** Sums are kept at every so many queries, so that those up to any other are made of few rows. */
const KEPT_EVERY = 64;
const kept = new WeakMap<Matrix, Float64Array[]>();

/** Per key, the sum of its weights over the first `nSteps` queries, or over as near a number of them as is known. */
export function summed(matrix: Matrix, nSteps: number): { nSteps: number; values: Float64Array } {
  if (!matrix.large) return { nSteps, values: strength(matrix, nSteps) };
  return sumsOf(matrix.large, nSteps) ?? { nSteps: 0, values: new Float64Array(matrix.nKeys) };
}

/** Per key, the sum of its weights over the first `nSteps` queries; what is not finite counts as 0. */
export function strength(matrix: Matrix, nSteps: number): Float64Array {
  const end = Math.min(nSteps, matrix.nQueries);
  const sums = kept.get(matrix) ?? [new Float64Array(matrix.nKeys)];
  kept.set(matrix, sums);
  const from = (n: number, first: number, last: number) => added(matrix, sums[n] ?? new Float64Array(0), first, last);
  while (sums.length * KEPT_EVERY <= end) {
    const n = sums.length;
    sums.push(from(n - 1, (n - 1) * KEPT_EVERY, n * KEPT_EVERY));
  }
  const n = Math.floor(end / KEPT_EVERY);
  return from(n, n * KEPT_EVERY, end);
}

function added({ values, nKeys }: Matrix, before: Float64Array, first: number, end: number): Float64Array {
  const sums = before.slice();
  for (let q = first; q < end; q++)
    for (let k = 0, i = q * nKeys; k < nKeys; k++, i++) {
      const weight = values[i] ?? 0;
      if (Number.isFinite(weight)) sums[k] = (sums[k] ?? 0) + weight;
    }
  return sums;
}

/** Spread of one row in bits: 0 for a single weight of 1, log2(nKeys) for a uniform row. */
export function entropy(weights: Float32Array): number {
  let bits = 0;
  for (const weight of weights) if (weight > 0 && Number.isFinite(weight)) bits -= weight * Math.log2(weight);
  return bits;
}

/** How far strengths are from 1, as the penalty of Rikters and Fishel 2017: 0 where each is 1, else below. */
export function coverageDeviation(received: ArrayLike<number>): number {
  let sum = 0;
  for (let k = 0; k < received.length; k++) sum += Math.log1p((1 - (received[k] ?? 0)) ** 2);
  return received.length ? -sum / received.length : 0;
}

/** How scattered rows are, and columns made to sum to 1: mean entropies in nats with their signs turned, as above. */
export function absentmindedness(matrix: Matrix): { out: number; into: number } {
  const { nQueries, nKeys, values } = matrix;
  const received = strength(matrix, nQueries);
  const nats = new Float64Array(nKeys);
  const sums = new Float64Array(nKeys);
  for (let q = 0; q < nQueries; q++)
    for (let k = 0, i = q * nKeys; k < nKeys; k++, i++) {
      const weight = values[i] ?? 0;
      if (!(weight > 0 && weight < Number.POSITIVE_INFINITY)) continue;
      nats[k] = (nats[k] ?? 0) + weight * Math.log(weight);
      sums[k] = (sums[k] ?? 0) + weight;
    }
  let into = 0; // w/r log(w/r) summed is (the sum of w log w - the sum of w times log r) / r: one logarithm a weight
  for (const [k, r] of received.entries()) if (r > 0) into += ((nats[k] ?? 0) - (sums[k] ?? 0) * Math.log(r)) / r;
  return { out: nats.reduce((total, n) => total + n, 0) / (nQueries || 1), into: into / (nKeys || 1) };
}

/** Rows of so many weights are searched once, for so many keys, since several views ask. */
const LONG = 2 ** 13;
const MOST_ASKED = 64;
const searched = new WeakMap<Float32Array, number[]>();

/** Keys by weight, strongest first, only finite weights above `threshold`. */
export function strongest(weights: Float32Array, count: number, threshold = 0): number[] {
  if (weights.length < LONG || count > MOST_ASKED) return search(weights, count, threshold);
  const known = searched.get(weights) ?? search(weights, MOST_ASKED, 0);
  searched.set(weights, known);
  return known.filter((key) => (weights[key] ?? 0) > threshold).slice(0, count);
}

function search(weights: Float32Array, count: number, threshold: number): number[] {
  const found: number[] = [];
  for (let k = 0; k < weights.length; k++) {
    const weight = weights[k] ?? 0;
    const isFull = found.length === count;
    if (!(weight > threshold && weight < Number.POSITIVE_INFINITY)) continue;
    if (isFull && weight <= (weights[found[count - 1] ?? 0] ?? 0)) continue;
    if (isFull) found.pop();
    let place = found.length;
    while (place > 0 && (weights[found[place - 1] ?? 0] ?? 0) < weight) place--;
    found.splice(place, 0, k);
  }
  return found;
}
