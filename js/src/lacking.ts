/** What of a large head is here, for those who ask for the rest. */
import { Precision } from "./blocks.ts";
import { covers, type Shown } from "./large.ts";
import { precisionOf, worst, type Matrix } from "./matrix.ts";

/** Rows of a head that is shown while it is recorded that are on their way. */
export const MAX_LATE = 512;

/** Rows before and after the one that is looked at that should be here when somebody steps on. */
const MAX_STRIDE = 3;

/** Of so many rows of a head those that should be here. */
export const due = (nQueries: number, isRecording: boolean): number => nQueries - (isRecording ? MAX_LATE : 0);

/** Tells whether all rows of a head are here, or come by themselves. */
export const isComing = (matrix: Matrix | null, nQueries: number, isRecording: boolean): boolean =>
  matrix !== null &&
  !matrix.large &&
  matrix.nQueries >= due(nQueries, isRecording) &&
  worst(matrix) > Precision.Missing;

/** Tells whether the cells of a view of a large head are here, of rows before `end`; others come by themselves. */
export function isDrawn(matrix: Matrix | null, { queries, keys }: Shown, end: number): boolean {
  const large = matrix?.large;
  const due = { keys, queries: { ...queries, end: Math.min(queries.end, end) } };
  return large?.planes.some((plane) => covers(large, plane, due)) ?? false;
}

export const isExact = (matrix: Matrix | null, query: number): boolean =>
  matrix !== null && precisionOf(matrix, query) === Precision.Exact;

/** The nearest row to one that is here which is not; null where some steps on all are. */
export function nextRow(matrix: Matrix | null, query: number, end: number): number | null {
  if (!isExact(matrix, query)) return null; // too long to come whole
  for (let n = 1; n <= MAX_STRIDE; n++)
    for (const q of [query + n, query - n]) if (q >= 0 && q < end && !isExact(matrix, q)) return q;
  return null;
}
