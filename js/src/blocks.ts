/** Weights as the kernel packed them: cells of one head, which are unpacked when somebody looks at them. */
import type { BlockData, SumsData } from "./wire.gen.ts";

/** A part of an axis, cut into cells of `per` tokens; the last one may hold fewer. */
export interface Span {
  first: number;
  end: number;
  per: number;
}

/** How near a stored row is to what was recorded. A better row is never replaced by a worse one. */
export enum Precision {
  Missing = 0,
  /** each weight stands for the maximum of a rectangle around it */
  Pooled = 1,
  /** off by at most 1/510 of the row's range, or by what float16 cannot hold */
  Rounded = 2,
  Exact = 3,
}

export interface Block {
  site: number;
  head: number;
  queries: Span;
  keys: Span;
  /** these are whole rows; keys after the last one have 0 */
  whole: boolean;
  /** not all rows of a cell were read yet */
  sampled: boolean;
  precision: Precision;
  /** the largest weight of each cell, row by row: [query cell, key cell] */
  values: () => Float32Array;
}

/** What each key of a head received from its first rows. */
export interface Sums {
  site: number;
  head: number;
  nSteps: number;
  values: Float32Array;
}

/** A picture that cannot be drawn; the sentence is for people and quotes no token. */
export class PictureError extends Error {}

/** More cells than a page should unpack for one head. */
const MAX_CELLS = 2 ** 26;
const ODD = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
const BYTES = { f4: 4, f2: 2, u1: 0 };

export const nCells = ({ first, end, per }: Span): number => Math.ceil((end - first) / per);

const isCount = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;

function readSpan(data: number[]): Span | null {
  const [first, end, per] = data;
  return isCount(first) && isCount(end) && isCount(per) && first <= end && per >= 1 ? { first, end, per } : null;
}

/** Reads a block; its bytes stay packed until they are asked for. */
export function readBlock(data: BlockData, body: Uint8Array): Block {
  const [queries, keys] = [readSpan(data.queries), readSpan(data.keys)];
  const rows = queries ? nCells(queries) : Number.NaN;
  const columns = keys ? nCells(keys) : Number.NaN;
  if (!queries || !keys || !(rows * columns <= MAX_CELLS))
    throw new PictureError(`A block of ${rows} x ${columns} cells came, which this page does not draw.`);
  const isPacked = data.dtype === "u1";
  const expected = rows * columns * BYTES[data.dtype] + (isPacked ? (rows + data.n_odd) * 8 : 0);
  const end = Math.max(data.offset + expected, isPacked ? data.levels + rows * columns : 0);
  const counts = [data.offset, data.n_bytes, data.n_odd, data.levels];
  if (!counts.every(isCount) || data.n_bytes !== expected || !(end <= body.byteLength))
    throw new PictureError(`A block of ${rows} x ${columns} cells came with ${data.n_bytes} bytes.`);
  const own = body.slice(data.offset, data.offset + expected).buffer;
  const level = body.subarray(data.levels, data.levels + (isPacked ? rows * columns : 0));
  return {
    site: data.site,
    head: data.head,
    queries,
    keys,
    whole: data.whole,
    sampled: data.sampled,
    precision:
      queries.per * keys.per > 1 ? Precision.Pooled : data.dtype === "f4" ? Precision.Exact : Precision.Rounded,
    values: () => {
      if (data.dtype === "f4") return new Float32Array(own);
      return data.dtype === "f2" ? halves(own) : unpacked(own, level, rows, columns);
    },
  };
}

/** Reads sums of a site that has so many keys. */
export function readSums(data: SumsData, nKeys: number, body: Uint8Array): Sums {
  const { site, head, n_steps: nSteps, offset } = data;
  if (!isCount(nSteps) || !isCount(offset) || offset + 4 * nKeys > body.byteLength)
    throw new PictureError(`Sums of ${nKeys} keys came with other bytes than they say.`);
  return { site, head, nSteps, values: new Float32Array(body.slice(offset, offset + 4 * nKeys).buffer) };
}

function unpacked(own: ArrayBuffer, level: Uint8Array, rows: number, columns: number): Float32Array {
  const range = new Float32Array(own, 0, rows * 2);
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const low = range[row] ?? 0;
    const span = (range[rows + row] ?? 0) - low;
    for (let i = row * columns; i < (row + 1) * columns; i++) values[i] = low + ((level[i] ?? 0) / 255) * span;
  }
  const odd = new Uint32Array(own, rows * 8);
  for (let i = 0; i < odd.length; i += 2) values[odd[i] ?? 0] = ODD[odd[i + 1] ?? 0] ?? Number.NaN;
  return values;
}

function halves(own: ArrayBuffer): Float32Array {
  return Float32Array.from(new Uint16Array(own), (bits) => {
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const sign = bits & 0x8000 ? -1 : 1;
    if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
  });
}
