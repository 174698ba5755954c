/** Where things stand: an axis puts a range of tokens into cells that are wide enough to see. */

export interface Axis {
  /** first token in the window */
  first: number;
  /** one past the last token in the window */
  end: number;
  /** tokens in one cell; more than 1 where single ones would be too small to see */
  per: number;
  nCells: number;
  /** length of a cell in CSS pixels */
  size: number;
}

/** A window on an axis, in tokens; null shows everything. */
export type Window = { first: number; count: number } | null;

/** Lays out `n` tokens, or the window of them, over `length` pixels. Cells of one axis are made of those of a finer one. */
export function axis(n: number, length: number, minSize: number, maxSize: number, window: Window = null): Axis {
  const count = Math.max(1, Math.min(n, window?.count ?? n));
  const least = (count * minSize) / Math.max(length, 1);
  const per = 2 ** Math.max(0, Math.ceil(Math.log2(least)));
  const first = Math.floor(Math.max(0, Math.min(window?.first ?? 0, n - count)) / per) * per;
  const end = Math.min(n, first + count);
  const nCells = Math.ceil((end - first) / per);
  return { first, end, per, nCells, size: Math.min(maxSize, length / Math.max(1, nCells)) };
}

/** The tokens of a cell: [from, to). */
export function tokensOf(axis: Axis, cell: number): [number, number] {
  const from = axis.first + cell * axis.per;
  return [from, Math.min(from + axis.per, axis.end)];
}

/** The cell of a token, or -1 outside the window. */
export function cellOf(axis: Axis, token: number): number {
  return token < axis.first || token >= axis.end ? -1 : Math.floor((token - axis.first) / axis.per);
}

/** The cell under a pixel, or -1 outside. */
export function cellAt(axis: Axis, pixel: number): number {
  const cell = Math.floor(pixel / axis.size);
  return cell < 0 || cell >= axis.nCells ? -1 : cell;
}

/** Middle of a token's cell in pixels, clamped to the axis. */
export function middle(axis: Axis, token: number): number {
  const cell = Math.max(0, Math.min(axis.nCells - 1, Math.floor((token - axis.first) / axis.per)));
  return (cell + 0.5) * axis.size;
}

/** The greatest value of a row in each cell of an axis: a spike is never lost. NaN only where all are. */
export function pooled(axis: Axis, row: ArrayLike<number>): Float32Array {
  const found = new Float32Array(axis.nCells).fill(Number.NaN);
  for (let i = axis.first, cell = 0, left = axis.per; i < axis.end; i++) {
    const value = row[i] ?? Number.NaN;
    if (!(value <= (found[cell] ?? 0)) && !Number.isNaN(value)) found[cell] = value;
    if (--left) continue;
    left = axis.per;
    cell++;
  }
  return found;
}

/** A window that shows `factor` times as many tokens around `centre`. */
export function zoomed(n: number, current: Window, factor: number, centre: number): Window {
  const count = Math.round((current?.count ?? n) * factor);
  if (count >= n) return null;
  const kept = Math.max(Math.min(4, n), count);
  return around(n, kept, centre);
}

/** A window of so many tokens around one; null where it would hold everything. */
export const around = (n: number, count: number, centre: number): Window =>
  count >= n ? null : { count, first: Math.max(0, Math.min(n - count, Math.round(centre - count / 2))) };

/** The same window, moved by some tokens and kept inside. */
export function shifted(window: Window, by: number, n: number): Window {
  return window && { ...window, first: Math.max(0, Math.min(n - window.count, window.first + by)) };
}

/** Every how many cells of `size` pixels a label of `room` pixels fits. */
export const every = (size: number, room: number): number => Math.max(1, Math.ceil(room / size));
