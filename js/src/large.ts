/** A head too large to be here whole: cells of several sizes, the rows that were looked at, and sums. */
import { nCells, type Block, type Span, type Sums } from "./blocks.ts";
import { tokensOf, type Axis } from "./scales.ts";

/** The largest weight of each cell of a rectangle: [query cell, key cell]. */
export interface Plane {
  queries: Span;
  keys: Span;
  /** there were no keys behind it when it was made */
  open: boolean;
  /** not all rows were read yet: there may be larger weights */
  sampled: boolean;
  values: Float32Array;
}

export interface Large {
  /** coarse ones first, so that finer ones are drawn over them */
  planes: Plane[];
  /** whole rows, the latest last */
  rows: Map<number, Float32Array>;
  sums: Sums[];
}

/** What is kept of one head: bytes of rows, and numbers of planes and of sums. */
export const ROWS_BYTES = 2 ** 22;
const MAX_PLANES = 12;
const MAX_SUMS = 24;

export const nothing = (): Large => ({ planes: [], rows: new Map(), sums: [] });

export const sameSpan = (a: Span, b: Span): boolean => a.first === b.first && a.end === b.end && a.per === b.per;

export interface Shown {
  queries: Span;
  keys: Span;
}

/** Tells whether cells can be made of a plane and the rows behind it: they reach as far, and it is not coarser. */
export const covers = (large: Large, plane: Plane, shown: Shown): boolean =>
  (["queries", "keys"] as const).every((of) => plane[of].first <= shown[of].first && plane[of].per <= shown[of].per) &&
  (plane.open || plane.keys.end >= shown.keys.end) &&
  endOf(large, plane) >= shown.queries.end;

/** One past the last query of a plane and of the rows that came behind it. */
function endOf({ rows }: Large, { queries }: Plane): number {
  let end = queries.end;
  while (rows.has(end)) end++;
  return end;
}

const isSame = (a: Plane, b: Plane) => sameSpan(a.queries, b.queries) && sameSpan(a.keys, b.keys);

/** Returns what is known with a block of it too. */
export function withBlock(large: Large, block: Block, nKeys: number): Large {
  const values = block.values();
  if (block.whole && block.queries.per * block.keys.per === 1) {
    const rows = new Map(large.rows);
    for (let q = block.queries.first, i = 0; q < block.queries.end; q++, i += block.keys.end) {
      const row = new Float32Array(nKeys);
      row.set(values.subarray(i, i + block.keys.end));
      rows.delete(q);
      rows.set(q, row);
    }
    for (const q of rows.keys()) if (rows.size > 1 && rows.size * nKeys * 4 > ROWS_BYTES) rows.delete(q);
    return { ...large, rows };
  }
  const { queries, keys, sampled } = block;
  const plane = { queries, keys, open: keys.end >= nKeys, sampled, values };
  const others = large.planes.filter((each) => !isSame(each, plane));
  const known = large.planes.find((each) => isSame(each, plane));
  const kept = known && !known.sampled && sampled ? known : plane;
  const recent = others.length < MAX_PLANES ? others : [...others.slice(0, 1), ...others.slice(2)];
  return { ...large, planes: [...recent, kept].sort((a, b) => area(b) - area(a)) };
}

const area = ({ queries, keys }: Plane) => queries.per * keys.per;

export const withSums = (large: Large, sums: Sums): Large => ({
  ...large,
  sums: [...large.sums.filter((each) => each.nSteps !== sums.nSteps).slice(1 - MAX_SUMS), sums],
});

/** Bytes held. */
export function bytesOf({ planes, rows, sums }: Large): number {
  const numbers = [...planes, ...sums].reduce((total, each) => total + each.values.length, 0);
  return 4 * [...rows.values()].reduce((total, each) => total + each.length, numbers);
}

const guesses = new WeakMap<Large, Map<number, Float32Array>>();

/** A row: as it is, or where it did not come the largest weights around it; NaN where nothing is known. */
export function rowOf(large: Large, q: number, nKeys: number): Float32Array {
  const known = large.rows.get(q) ?? guesses.get(large)?.get(q);
  if (known) return known;
  const row = new Float32Array(nKeys).fill(Number.NaN);
  for (const { queries, keys, values } of large.planes) {
    if (q < queries.first || q >= queries.end) continue;
    const start = Math.floor((q - queries.first) / queries.per) * nCells(keys);
    for (let k = keys.first; k < keys.end; k++) row[k] = values[start + Math.floor((k - keys.first) / keys.per)] ?? 0;
  }
  const guessed = guesses.get(large) ?? new Map<number, Float32Array>();
  guesses.set(large, guessed.size < 4 ? guessed.set(q, row) : new Map([[q, row]]));
  return row;
}

/** All weights on one key, or the largest ones around them. */
export function columnOf({ planes, rows }: Large, k: number, nQueries: number): Float32Array {
  const column = new Float32Array(nQueries).fill(Number.NaN);
  for (const { queries, keys, values } of planes) {
    if (k < keys.first || k >= keys.end) continue;
    const c = Math.floor((k - keys.first) / keys.per);
    for (let q = queries.first; q < queries.end; q++)
      column[q] = values[Math.floor((q - queries.first) / queries.per) * nCells(keys) + c] ?? 0;
  }
  for (const [q, row] of rows) column[q] = row[k] ?? 0;
  return column;
}

/** The largest weight of each cell of two axes, as far as it is known: [query cell, key cell]. */
export function cellsOfLarge(large: Large, queries: Axis, keys: Axis): Float32Array {
  const cells = new Float32Array(queries.nCells * keys.nCells).fill(Number.NaN);
  const end = Math.max(0, ...large.planes.map((plane) => plane.queries.end));
  for (const plane of large.planes) {
    const width = nCells(plane.keys);
    const columns = within(keys, plane.keys, plane.open);
    for (const [r, range] of within(queries, plane.queries, plane.queries.end === end).entries())
      for (let c = 0; range && c < keys.nCells; c++) {
        const across = columns[c];
        if (across) cells[r * keys.nCells + c] = greatest(plane.values, width, range, across);
      }
  }
  if (queries.per === 1)
    for (let r = 0; r < queries.nCells; r++) {
      const row = large.rows.get(queries.first + r);
      if (row)
        for (let c = 0; c < keys.nCells; c++) cells[r * keys.nCells + c] = greatest(row, 0, [0, 0], span(keys, c));
    }
  else
    for (let q = end, row = large.rows.get(q); row && q < queries.end; row = large.rows.get(++q)) {
      const start = Math.floor((q - queries.first) / queries.per) * keys.nCells;
      for (let c = 0; q >= queries.first && c < keys.nCells; c++) {
        const most = greatest(row, 0, [0, 0], span(keys, c));
        if (!((cells[start + c] ?? 0) >= most)) cells[start + c] = most;
      }
    }
  return cells;
}

type Range = [first: number, last: number];

const span = (axis: Axis, cell: number): Range => {
  const [from, to] = tokensOf(axis, cell);
  return [from, to - 1];
};

/** For each cell of an axis the cells of a span that it stands for; null where the span does not reach, if not `some`. */
function within(axis: Axis, { first, end, per }: Span, some: boolean): (Range | null)[] {
  return Array.from({ length: axis.nCells }, (_, cell) => {
    const [from, to] = span(axis, cell);
    const last = some ? Math.min(to, end - 1) : to;
    const isIn = from >= first && from < end && last < end;
    return isIn ? [Math.floor((from - first) / per), Math.floor((last - first) / per)] : null;
  });
}

function greatest(values: Float32Array, width: number, rows: Range, columns: Range): number {
  let most = Number.NaN;
  for (let r = rows[0]; r <= rows[1]; r++)
    for (let c = columns[0]; c <= columns[1]; c++) {
      const value = values[r * width + c] ?? Number.NaN;
      if (!(value <= most) && value === value) most = value;
    }
  return most;
}

/** The strongest weight that is known among some rows and columns, as [query, key]. */
export function strongestOf(
  large: Large,
  [q0, q1]: [number, number],
  [k0, k1]: [number, number],
  nKeys: number,
): [number, number] {
  const known = [...large.rows.keys()].filter((q) => q >= q0 && q < q1);
  let best: [number, number, number] = [q0, k0, Number.NEGATIVE_INFINITY];
  for (const q of known.length ? known : [q0]) {
    const row = rowOf(large, q, nKeys);
    for (let k = k0; k < k1; k++) if ((row[k] ?? 0) > best[2]) best = [q, k, row[k] ?? 0];
  }
  return [best[0], best[1]];
}

/** Sums that were made of those that came, so that the next ones take the rows between alone. */
const made = new WeakMap<Sums[], { nSteps: number; values: Float64Array }>();

/** Sums over the first `nSteps` rows, or over as near a number of them as is known; null where none is. */
export function sumsOf(large: Large, nSteps: number): { nSteps: number; values: Float64Array } | null {
  const last = made.get(large.sums);
  const near = [...(last ? [last] : []), ...large.sums].sort(
    (a, b) => Math.abs(a.nSteps - nSteps) - Math.abs(b.nSteps - nSteps),
  );
  for (const { nSteps: from, values: before } of near) {
    const values = Float64Array.from(before);
    const sign = from < nSteps ? 1 : -1;
    let q = Math.min(from, nSteps);
    for (; q < Math.max(from, nSteps); q++) {
      const row = large.rows.get(q);
      if (!row) break;
      for (let k = 0; k < values.length; k++) {
        const weight = row[k] ?? 0;
        if (Number.isFinite(weight)) values[k] = (values[k] ?? 0) + sign * weight;
      }
    }
    if (q !== Math.max(from, nSteps)) continue;
    made.set(large.sums, { nSteps, values });
    return { nSteps, values: values.slice() };
  }
  const nearest = near.find((each) => each !== last);
  return nearest ? { nSteps: nearest.nSteps, values: Float64Array.from(nearest.values) } : null;
}
