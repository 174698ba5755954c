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

/** The mean over heads, or null while a head lacks rows. */
export function mean(heads: (Matrix | undefined)[]): Matrix | null {
  const first = heads[0];
  if (!first || heads.some((h) => !h || h.nQueries !== first.nQueries || h.nKeys !== first.nKeys)) return null;
  if (heads.length === 1) return first;
  const sums = new Float64Array(first.nQueries * first.nKeys);
  const precision = first.precision.slice();
  for (const head of heads) {
    if (!head) continue;
    for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] ?? 0) + (head.values[i] ?? Number.NaN);
    for (let q = 0; q < precision.length; q++) precision[q] = Math.min(precision[q] ?? 0, head.precision[q] ?? 0);
  }
  return { ...first, precision, values: Float32Array.from(sums, (sum) => sum / heads.length) };
}

/** The least precision of any of its rows. */
export function worst(matrix: Matrix): Precision {
  let least: Precision = Precision.Exact;
  for (let q = 0; q < matrix.nQueries; q++) least = Math.min(least, matrix.precision[q] ?? 0);
  return least;
}

/** Per key, the sum of its weights over the first `nSteps` queries; what is not finite counts as 0. */
export function strength(matrix: Matrix, nSteps: number): Float64Array {
  const sums = new Float64Array(matrix.nKeys);
  for (let q = 0; q < Math.min(nSteps, matrix.nQueries); q++)
    for (let k = 0; k < matrix.nKeys; k++) {
      const weight = at(matrix, q, k);
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
  const received = strength(matrix, matrix.nQueries);
  const nats = (p: number) => (p > 0 && Number.isFinite(p) ? p * Math.log(p) : 0);
  let out = 0;
  let into = 0;
  for (let q = 0; q < matrix.nQueries; q++)
    for (let k = 0; k < matrix.nKeys; k++) {
      const weight = at(matrix, q, k);
      out += nats(weight);
      if (received[k]) into += nats(weight / (received[k] ?? 1));
    }
  return { out: out / (matrix.nQueries || 1), into: into / (matrix.nKeys || 1) };
}

/** Keys by weight, strongest first, only finite weights above `threshold`. */
export function strongest(weights: Float32Array, count: number, threshold = 0): number[] {
  return [...weights.keys()]
    .filter((k) => Number.isFinite(weights[k]) && (weights[k] ?? 0) > threshold)
    .sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0))
    .slice(0, count);
}
