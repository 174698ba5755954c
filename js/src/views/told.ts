/** A weight in words, as exactly as this page knows it. */
import { at, precisionOf, row, type Matrix } from "../matrix.ts";
import { exact, short } from "../text.ts";
import { Precision } from "../blocks.ts";

/** A rounded weight is off by at most this part of its row's range. */
const LEVELS = 510;

/** The weight of one cell; one that was rounded or pooled on its way says so. */
export function told(matrix: Matrix, query: number, key: number): string {
  const value = at(matrix, query, key);
  const precision = precisionOf(matrix, query);
  if (precision === Precision.Exact || !Number.isFinite(value)) return exact(value);
  if (precision === Precision.Pooled) return `≤ ${short(value)}`;
  const weights = row(matrix, query).filter((weight) => Number.isFinite(weight));
  const range = weights.reduce((most, w) => Math.max(most, w), 0) - weights.reduce((least, w) => Math.min(least, w), 0);
  const quantum = range / LEVELS;
  if (!quantum) return exact(value);
  if (Math.abs(value) < quantum) return `< ${exact(Number(quantum.toPrecision(1)))}`;
  return `≈ ${value.toFixed(Math.min(20, Math.max(0, Math.ceil(-Math.log10(quantum)))))}`.replace("-", "−");
}
