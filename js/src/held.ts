/** The heads that came: unpacked when somebody looks at them; of the large ones those that were looked at last. */
import { signal } from "@preact/signals-core";
import { Precision, type Block, type Sums } from "./blocks.ts";
import { headName } from "./heads.ts";
import { isComing } from "./lacking.ts";
import { bytesOf, nothing, withSums } from "./large.ts";
import { empty, mean, merged, worst, type Matrix } from "./matrix.ts";
import { MEAN } from "./wire.gen.ts";
import type { Picture, Site } from "./wire.ts";

interface Head {
  matrix: Matrix;
  /** blocks that nobody looked at yet */
  waiting: Block[];
  /** the block that all of `matrix` came of, which can be unpacked again */
  source: Block | null;
}

/** Bytes of large heads that are kept, of others that are unpacked, and blocks of a head that wait. */
const MAX_BYTES = 2 ** 26;
const MAX_UNPACKED = 2 ** 25;
const MAX_WAITING = 64;

export function createHeld() {
  const heads = signal(new Map<string, Head>());
  const recent = new Set<Head>(); // those that are unpacked and could be again, the latest last
  const means = new Map<number, { of: (Head | undefined)[]; mean: Matrix | null }>();

  const unpacked = (name: string, site: Site | undefined): Matrix | undefined => {
    const head = heads.value.get(name);
    if (!head || !site) return undefined;
    const [first, ...others] = head.waiting;
    if (first) head.source = head.matrix.nQueries || others.length || !isAll(first, site) ? null : first;
    for (const block of head.waiting.splice(0)) head.matrix = merged(head.matrix, block, site);
    const { matrix } = head;
    recent.delete(head);
    if (head.source) recent.add(head);
    pack();
    return matrix;
  };

  /** Lets go of the heads that were looked at long ago, but for the blocks that they came of. */
  const pack = () => {
    let bytes = [...recent].reduce((sum, { matrix }) => sum + matrix.values.byteLength, 0);
    for (const head of recent) {
      if (bytes <= MAX_UNPACKED || recent.size === 1) return;
      bytes -= head.matrix.values.byteLength;
      recent.delete(head);
      if (head.source) head.waiting.unshift(head.source);
      head.matrix = empty();
    }
  };

  /** All that came of a head; the mean is made of the heads where all of them are here. */
  const matrix = (site: number, head: number, of: Site | undefined): Matrix | null => {
    const whole = unpacked(headName(site, head), of);
    if (head !== MEAN || !of) return whole ?? null;
    const names = Array.from({ length: of.nHeads }, (_, h) => headName(site, h));
    if (!names.every((name) => heads.value.has(name))) return whole ?? null;
    if (whole && whole.nQueries >= of.nQueries && worst(whole) === Precision.Exact) return whole;
    const ofHeads = meanOf(site, names, of);
    if (!whole || !ofHeads) return ofHeads ?? whole ?? null;
    const more = ofHeads.nQueries - whole.nQueries;
    return more > 0 || (more === 0 && worst(ofHeads) >= worst(whole)) ? ofHeads : whole;
  };

  /** The mean over heads; the same matrix until something comes of one of them, and while some have more rows. */
  const meanOf = (site: number, names: string[], of: Site): Matrix | null => {
    const now = names.map((name) => heads.value.get(name));
    const known = means.get(site);
    if (known?.of.length === now.length && now.every((head, i) => head === known.of[i])) return known.mean;
    const found = mean(names.map((name) => () => unpacked(name, of))) ?? known?.mean ?? null;
    means.set(site, { of: now, mean: found });
    return found;
  };

  /** Tells whether a block is coarser than what is here of its head, or comes row by row. */
  const isNeedless = ({ site, head, whole, queries, keys }: Block, sites: Site[], isRecording: boolean): boolean =>
    !(whole && queries.per * keys.per === 1) &&
    isComing(unpacked(headName(site, head), sites[site]) ?? null, queries.end, isRecording);

  /** Takes what a picture holds; of another run than before it replaces everything. */
  const take = ({ blocks, sums }: Picture, sites: Site[], isNew: boolean, isRecording: boolean): void => {
    const next = isNew ? new Map<string, Head>() : new Map(heads.value);
    for (const block of blocks) {
      if (!isNew && isNeedless(block, sites, isRecording)) continue;
      const name = headName(block.site, block.head);
      const known = next.get(name);
      if (known) recent.delete(known);
      const { matrix, waiting } = known ?? { matrix: before(block, sites, isNew) ?? empty(), waiting: [] };
      next.delete(name);
      next.set(name, { matrix, waiting: [...waiting, block], source: null });
    }
    if (isNew) {
      recent.clear();
      means.clear();
    }
    heads.value = next;
    for (const [name, head] of next) {
      const site = sites[Number(name.split(":")[0])];
      if (head.waiting.length > MAX_WAITING) unpacked(name, site);
    }
    for (const one of sums) add(one, sites[one.site]);
    forget();
  };

  /** What is there already of a head of which the first block came: of the mean, what its heads had while they came. */
  const before = ({ site, head, queries }: Block, sites: Site[], isNew: boolean): Matrix | null => {
    if (isNew || head !== MEAN || !queries.first) return null;
    const ofHeads = matrix(site, head, sites[site]);
    return ofHeads && { ...ofHeads, values: ofHeads.values.slice(), precision: ofHeads.precision.slice() };
  };

  const add = (sums: Sums, site: Site | undefined) => {
    const head = heads.value.get(headName(sums.site, sums.head));
    const matrix = unpacked(headName(sums.site, sums.head), site);
    if (head && matrix?.large) head.matrix = { ...matrix, large: withSums(matrix.large ?? nothing(), sums) };
  };

  const forget = () => {
    let bytes = nBytes();
    for (const [name, { matrix }] of heads.value) {
      if (bytes <= MAX_BYTES) return;
      if (!matrix.large) continue;
      bytes -= bytesOf(matrix.large);
      heads.value.delete(name);
    }
  };

  /** Bytes of large heads. */
  const nBytes = () =>
    [...heads.value.values()].reduce((sum, { matrix }) => sum + (matrix.large ? bytesOf(matrix.large) : 0), 0);

  return { matrix, take, nBytes };
}

/** Tells whether a block holds all weights of a head that is not too large. */
const isAll = ({ whole, queries, keys }: Block, { nQueries }: Site) =>
  whole && queries.per * keys.per === 1 && queries.first === 0 && queries.end >= nQueries;
