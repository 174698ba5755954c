/** Bytes from the kernel become pictures; this is the only file that knows how they are laid out and what they call things. */
import { PictureError, readBlock, readSums, type Block, type Sums } from "./blocks.ts";
import { readHeads, type Head } from "./heads.ts";
import type { ArchitectureData, ArrayData, PictureData, SceneData, TermsData } from "./wire.gen.ts";
import { PROTOCOL } from "./wire.gen.ts";

export interface Flag {
  kind: string;
  count: number;
  /** the first places, each [head, query, key]; -1 where an axis does not apply */
  where: number[][];
}

export interface Site {
  name: string;
  kind: "encoder" | "decoder" | "cross";
  layer: number;
  nHeads: number;
  query: string;
  key: string;
  asks: "" | "before" | "after";
  nQueries: number;
  nKeys: number;
  flags: Flag[];
}

/** Tells weights that are each from 0 to 1 on their own from those whose rows sum to 1. */
export const isMask = (site: Site) => site.flags.some((flag) => flag.kind === "mask");

/** What the tokens of a strip are parts of. */
export interface Scene {
  kind: SceneData["kind"];
  /** frames, rows and columns of tokens; columns count first */
  grid: [number, number, number];
  /** tokens of the strip before the first of them */
  before: number;
  seconds: number | null;
  /** frames, rows, columns and channels of the pixels */
  shape: [number, number, number, number];
  pixels: Uint8Array;
}

export interface Candidate {
  token: string;
  probability: number;
}

export interface Step {
  token: string;
  candidates: Candidate[];
}

/** What the weights of one row of one head came of. See `TermsData`. */
export interface Terms {
  site: number;
  head: number;
  query: number;
  form: TermsData["form"];
  scale: number;
  softcap: number | null;
  sink: number | null;
  arrays: Partial<Record<ArrayData["name"], Float32Array>>;
}

export interface Picture {
  run: string;
  seq: number;
  title: string;
  status: PictureData["status"];
  strips: { name: string; nTokens: number; at: number; texts: string[]; scene: Scene | null }[];
  sites: Site[];
  stepsAt: number;
  steps: Step[];
  blocks: Block[];
  sums: Sums[];
  heads: Head[];
  terms: Terms[];
  /** the diagram; null where this picture changes nothing in it */
  architecture: ArchitectureData | null;
  /** bytes that the kernel keeps of large heads, beside the trace; 0 where nothing is said of it */
  kept: number;
}

/** Reads what the kernel packed: header length, JSON header, blocks. */
export function readPicture(bytes: Uint8Array): Picture {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = bytes.byteLength >= 4 ? view.getUint32(0, true) : Number.POSITIVE_INFINITY;
  if (4 + length > bytes.byteLength) throw new PictureError("The picture is cut short.");
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length))) as PictureData;
  if (header.protocol !== PROTOCOL)
    throw new PictureError(
      `The kernel speaks version ${Number(header.protocol)} of the wire, this page version ${PROTOCOL}. ` +
        "Restart the kernel and reload the page so that both have the same attnwidget.",
    );
  const body = bytes.subarray(4 + length);
  return {
    run: header.run,
    seq: header.seq,
    title: header.title,
    status: header.status,
    strips: header.strips.map(({ name, n_tokens: nTokens, at, texts, scene }) => ({
      name,
      nTokens,
      at,
      texts,
      scene: scene ? readScene(scene, body) : null,
    })),
    sites: header.sites.map((site) => ({
      name: site.name,
      kind: site.kind,
      layer: site.layer,
      nHeads: site.n_heads,
      query: site.query,
      key: site.key,
      asks: site.asks,
      nQueries: site.n_queries,
      nKeys: site.n_keys,
      flags: site.flags,
    })),
    stepsAt: header.steps_at,
    steps: header.steps,
    blocks: header.blocks.map((block) => readBlock(block, body)),
    sums: header.sums.map((sums) => readSums(sums, header.sites[sums.site]?.n_keys ?? 0, body)),
    heads: (header.heads ?? []).flatMap((data) => {
      const heads = readHeads(data, body);
      if (!heads) throw new PictureError(`Heads of site ${Number(data.site)} came with other bytes than they say.`);
      return heads;
    }),
    terms: (header.terms ?? []).map((terms) => readTerms(terms, body)),
    kept: header.kept,
    architecture: header.architecture ?? null, // pictures that were packed before there were diagrams have none
  };
}

function readScene({ kind, grid, before, seconds, shape, offset }: SceneData, body: Uint8Array): Scene {
  const [frames = 0, rows = 0, columns = 0] = grid;
  const [f = 0, h = 0, w = 0, channels = 0] = shape;
  const counts = [frames, rows, columns, f, h, w, channels, before + 1, offset + 1];
  const n = f * h * w * channels;
  if (!counts.every((count) => Number.isSafeInteger(count) && count >= 1) || offset + n > body.byteLength)
    throw new PictureError(`A scene of ${f} x ${h} x ${w} pixels came, which this page does not draw.`);
  const pixels = body.slice(offset, offset + n);
  return { kind, grid: [frames, rows, columns], before, seconds, shape: [f, h, w, channels], pixels };
}

function readTerms({ arrays, ...rest }: TermsData, body: Uint8Array): Terms {
  const read = arrays.map(({ name, shape, offset }) => {
    const n = shape.reduce((product, size) => product * size, 1);
    if (
      ![...shape, offset].every((size) => Number.isSafeInteger(size) && size >= 0) ||
      offset + 4 * n > body.byteLength
    )
      throw new PictureError(`Terms of ${shape.join(" x ")} numbers came, which this page does not read.`);
    return [name, new Float32Array(body.slice(offset, offset + 4 * n).buffer)] as const;
  });
  return { ...rest, arrays: Object.fromEntries(read) };
}

/** Hosts hand over a DataView, a typed array, an ArrayBuffer or base64 text. */
export function toBytes(value: unknown): Uint8Array {
  if (typeof value === "string") return Uint8Array.from(atob(value), (c) => c.charCodeAt(0));
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer as ArrayBuffer, value.byteOffset, value.byteLength);
  throw new PictureError("Something that is not bytes came where a picture was expected.");
}
