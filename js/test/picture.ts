/** Makes pictures for tests as the kernel packs them. */
import { Precision, type Block } from "../src/blocks.ts";
import type { BlockData, PictureData } from "../src/wire.gen.ts";
import { PROTOCOL } from "../src/wire.gen.ts";

export interface Rows {
  site?: number;
  head?: number;
  at?: number;
  rows: number[][];
}

export const KEYS = ["the", "cat", "sat", "on", "mats"];

/** A cross-attention site over 5 keys with as many queries as `n`. */
export function header(n: number, change: Partial<PictureData> = {}): PictureData {
  return {
    protocol: PROTOCOL,
    run: "a",
    seq: 0,
    title: "",
    status: "recording",
    strips: [
      { name: "source", n_tokens: 5, at: 0, texts: KEYS, scene: null },
      { name: "target", n_tokens: n, at: 0, texts: Array.from({ length: n }, (_, i) => `t${i}`), scene: null },
    ],
    sites: [
      {
        name: "cross",
        kind: "cross",
        layer: 0,
        n_heads: 1,
        query: "target",
        key: "source",
        asks: "",
        n_queries: n,
        n_keys: 5,
        flags: [],
      },
    ],
    steps_at: 0,
    steps: Array.from({ length: n }, (_, i) => ({ token: `t${i}`, candidates: [] })),
    blocks: [],
    sums: [],
    kept: 0,
    heads: [],
    terms: [],
    architecture: null,
    ...change,
  };
}

/** A block as it is unpacked. */
export const block = (first: number, rows: number[][], change: Partial<Block> = {}): Block => ({
  site: 0,
  head: 0,
  queries: { first, end: first + rows.length, per: 1 },
  keys: { first: 0, end: rows[0]?.length ?? 0, per: 1 },
  whole: true,
  sampled: false,
  precision: Precision.Exact,
  values: () => Float32Array.from(rows.flat()),
  ...change,
});

/** Packs a header and float32 rows. */
export function pack(data: PictureData, blocks: Rows[] = []): Uint8Array {
  const parts: Uint8Array[] = [];
  const described: BlockData[] = blocks.map(({ site = 0, head = 0, at = 0, rows }) => {
    const offset = parts.reduce((sum, part) => sum + part.byteLength, 0);
    const values = Float32Array.from(rows.flat());
    parts.push(new Uint8Array(values.buffer));
    return {
      site,
      head,
      queries: [at, at + rows.length, 1],
      keys: [0, rows[0]?.length ?? 0, 1],
      whole: true,
      sampled: false,
      dtype: "f4",
      offset,
      n_bytes: values.byteLength,
      n_odd: 0,
      levels: 0,
    };
  });
  return packRaw({ ...data, blocks: described }, parts);
}

/** Packs a header as it is, with bytes behind it. */
export function packRaw(data: unknown, parts: Uint8Array[]): Uint8Array {
  let text = JSON.stringify(data).replace(
    /[\u0080-\uffff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  text += " ".repeat((4 - (text.length % 4)) % 4);
  const bytes = new Uint8Array(4 + text.length + parts.reduce((sum, part) => sum + part.byteLength, 0));
  new DataView(bytes.buffer).setUint32(0, text.length, true);
  bytes.set(new TextEncoder().encode(text), 4);
  let at = 4 + text.length;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}

export async function deflate(bytes: Uint8Array): Promise<DataView> {
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new CompressionStream("deflate"));
  return new DataView(await new Response(stream).arrayBuffer());
}

/** One row with its greatest weight on `key`. */
export const peak = (key: number): number[] => KEYS.map((_, k) => (k === key ? 0.6 : 0.1));
