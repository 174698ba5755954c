/** The weights of one head as far as they have come: rows arrive in any order, more than once, at any precision. */
import type { Block } from "./wire.ts";
import { Precision } from "./wire.ts";

export interface Matrix {
  nQueries: number;
  nKeys: number;
  /** weights, row by row: [query, key]; rows that did not come are NaN */
  values: Float32Array;
  /** how near each row is to what was recorded */
  precision: Uint8Array;
}

export const empty = (): Matrix => ({
  nQueries: 0,
  nKeys: 0,
  values: new Float32Array(0),
  precision: new Uint8Array(0),
});

export const at = (matrix: Matrix, q: number, k: number): number => matrix.values[q * matrix.nKeys + k] ?? Number.NaN;

export function row(matrix: Matrix, q: number): Float32Array {
  return matrix.values.subarray(q * matrix.nKeys, (q + 1) * matrix.nKeys);
}

/** The weights of all queries on one key. */
export function column(matrix: Matrix, k: number): Float32Array {
  const weights = new Float32Array(matrix.nQueries);
  for (let q = 0; q < weights.length; q++) weights[q] = at(matrix, q, k);
  return weights;
}

/** Returns a matrix that holds the block too; keys that an earlier row did not see are 0. */
export function merged(matrix: Matrix, block: Block): Matrix {
  const nQueries = Math.max(matrix.nQueries, block.at + block.nQueries);
  const nKeys = Math.max(matrix.nKeys, block.nKeys);
  const next = nQueries === matrix.nQueries && nKeys === matrix.nKeys ? matrix : grown(matrix, nQueries, nKeys);
  for (let i = 0; i < block.nQueries; i++) {
    const q = block.at + i;
    if (block.precision < (next.precision[q] ?? 0)) continue;
    next.precision[q] = block.precision;
    next.values.fill(0, q * nKeys, (q + 1) * nKeys);
    next.values.set(block.values.subarray(i * block.nKeys, (i + 1) * block.nKeys), q * nKeys);
  }
  return { ...next };
}

function grown(matrix: Matrix, nQueries: number, nKeys: number): Matrix {
  const values = new Float32Array(nQueries * nKeys).fill(Number.NaN);
  for (let q = 0; q < matrix.nQueries; q++) {
    values.fill(0, q * nKeys, (q + 1) * nKeys);
    values.set(row(matrix, q), q * nKeys);
  }
  const precision = new Uint8Array(nQueries);
  precision.set(matrix.precision);
  return { nQueries, nKeys, values, precision };
}

const means = new WeakMap<Matrix, { of: (Matrix | undefined)[]; mean: Matrix }>();

/** The mean over heads, or null while a head lacks rows; the same matrix for the same heads. */
export function mean(heads: (Matrix | undefined)[]): Matrix | null {
  const first = heads[0];
  if (!first || heads.some((h) => !h || h.nQueries !== first.nQueries || h.nKeys !== first.nKeys)) return null;
  if (heads.length === 1) return first;
  const known = means.get(first);
  if (known && known.of.length === heads.length && known.of.every((head, i) => head === heads[i])) return known.mean;
  const sums = new Float64Array(first.nQueries * first.nKeys);
  const precision = first.precision.slice();
  for (const head of heads) {
    if (!head) continue;
    for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] ?? 0) + (head.values[i] ?? Number.NaN);
    for (let q = 0; q < precision.length; q++) precision[q] = Math.min(precision[q] ?? 0, head.precision[q] ?? 0);
  }
  const values = new Float32Array(sums.length);
  for (let i = 0; i < sums.length; i++) values[i] = (sums[i] ?? 0) / heads.length;
  const found = { ...first, precision, values };
  means.set(first, { of: heads, mean: found });
  return found;
}

/** The least precision of any of its rows. */
export function worst(matrix: Matrix): Precision {
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
  for (const weight of matrix.values) if (weight > most) most = weight;
  tops.set(matrix, most);
  return most;
}

/** Sums are kept at every so many queries, so that those up to any other are made of few rows. */
const KEPT_EVERY = 64;
const kept = new WeakMap<Matrix, Float64Array[]>();

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
export function coverageDeviation(received: number[]): number {
  return received.length ? -received.reduce((sum, s) => sum + Math.log1p((1 - s) ** 2), 0) / received.length : 0;
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

/** Keys by weight, strongest first, only finite weights above `threshold`. */
export function strongest(weights: Float32Array, count: number, threshold = 0): number[] {
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
