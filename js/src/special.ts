/** Keys that stand for no text, and the weights without them. */
import { at, row, summed, type Matrix } from "./matrix.ts";

/** Mean weight from which a key is a sink (Gu et al. 2024), and the rows that must have seen it. */
const SINK = 0.3;
const MIN_ROWS = 8;
const SPECIAL =
  /^(\[(CLS|SEP|PAD|MASK|BOS|EOS)\]|<(s|\/s|pad|bos|eos|cls|sep|mask|start|end|extra_id_\d+)>|<\|.*\|>)$/s;

/** Special tokens by their text, and sinks: the same rule as `attnwidget.analysis.special_keys`. */
export function specialKeys(texts: string[], matrix: Matrix): number[] {
  return Array.from({ length: matrix.nKeys }, (_, key) => key).filter(
    (key) => SPECIAL.test(texts[key] ?? "") || isSink(matrix, key),
  );
}

function isSink(matrix: Matrix, key: number): boolean {
  if (matrix.large) {
    const { nSteps, values } = summed(matrix, matrix.nQueries);
    return nSteps >= MIN_ROWS && (values[key] ?? 0) / nSteps >= SINK;
  }
  let sum = 0;
  let nRows = 0;
  for (let q = 0; q < matrix.nQueries; q++) {
    const weight = at(matrix, q, key);
    if (!Number.isFinite(weight) || weight === 0) continue;
    sum += weight;
    nRows++;
  }
  return nRows >= Math.max(MIN_ROWS, matrix.nQueries / 2) && sum / nRows >= SINK;
}

/** The weights without some keys: these are 0, and the others of each row renormalised to the sum that it had. */
export function without(matrix: Matrix, keys: number[]): Matrix {
  const values = matrix.values.slice();
  for (let q = 0; q < matrix.nQueries; q++) {
    const weights = row(matrix, q);
    const before = sum(weights);
    const rest = before - keys.reduce((total, key) => total + finite(weights[key]), 0);
    const factor = rest > 1e-9 ? before / rest : 0;
    for (let k = 0; k < matrix.nKeys; k++) values[q * matrix.nKeys + k] = (weights[k] ?? 0) * factor;
    for (const key of keys) values[q * matrix.nKeys + key] = 0;
  }
  return { ...matrix, values };
}

const finite = (weight: number | undefined) => (Number.isFinite(weight) ? (weight ?? 0) : 0);
const sum = (weights: Float32Array) => weights.reduce((total, weight) => total + finite(weight), 0);
