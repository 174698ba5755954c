/** Heads as a whole: what each attends to, in numbers, and a small picture of it. */
import type { HeadsData, StatisticsData } from "./wire.gen.ts";

export type Statistic = keyof StatisticsData;
export const STATISTICS = [
  "entropy",
  "distance",
  "previous",
  "first",
  "diagonal",
  "induction",
] as const satisfies Statistic[];

export interface Head {
  site: number;
  head: number;
  /** rows that it had when this was told */
  nQueries: number;
  /** rows that were read of them, from all over where not all */
  nRead: number;
  /** null where it has none */
  statistics: Record<Statistic, number | null>;
  nRows: number;
  nColumns: number;
  /** small picture, row by row; 255 is the largest weight of its row. Empty where none came */
  levels: Uint8Array;
}

/** More heads or larger pictures than any kernel tells of at once. */
const MAX_HEADS = 2 ** 16;
const MAX_SIDE = 2 ** 10;

/** The heads that a picture tells of, or null where its header does not fit its bytes. */
export function readHeads(data: HeadsData, body: Uint8Array): Head[] | null {
  const {
    site,
    at,
    n_heads: n,
    n_queries: nQueries,
    n_read: nRead,
    n_rows: nRows,
    n_columns: nColumns,
    offset,
    statistics,
  } = data;
  const numbers = [site, at, n, nQueries, nRead, nRows, nColumns, offset];
  if (!numbers.every((number) => Number.isSafeInteger(number) && number >= 0)) return null;
  if (n > MAX_HEADS || at > MAX_HEADS || Math.max(nRows, nColumns) > MAX_SIDE) return null;
  const size = nRows * nColumns;
  if (offset + n * size > body.byteLength) return null;
  const isTold = (values: unknown) =>
    Array.isArray(values) && values.length === n && values.every((v) => v === null || Number.isFinite(v));
  if (!STATISTICS.every((name) => isTold(statistics?.[name]))) return null;
  return Array.from({ length: n }, (_, i) => ({
    site,
    head: at + i,
    nQueries,
    nRead,
    statistics: Object.fromEntries(STATISTICS.map((name) => [name, statistics[name][i]])) as Head["statistics"],
    nRows,
    nColumns,
    levels: body.slice(offset + i * size, offset + (i + 1) * size),
  }));
}

export const headName = (site: number, head: number) => `${site}:${head}`;

/** Adds what was told; what is older, or as old and with a smaller picture, changes nothing. */
export function withHeads(before: Map<string, Head>, told: Head[]): Map<string, Head> {
  if (!told.length) return before;
  const next = new Map(before);
  for (const head of told) {
    const name = headName(head.site, head.head);
    const old = next.get(name);
    const isOlder = old && (old.nQueries > head.nQueries || (old.nQueries === head.nQueries && isLarger(old, head)));
    if (!isOlder) next.set(name, head);
  }
  return next;
}

const isLarger = (a: Head, b: Head) => a.levels.length > b.levels.length;
