/** The heads that came: unpacked when somebody looks at them; of the large ones those that were looked at last. */
import { signal } from "@preact/signals-core";
import type { Block, Sums } from "./blocks.ts";
import { bytesOf, nothing, withSums } from "./large.ts";
import { empty, mean, merged, worst, type Matrix } from "./matrix.ts";
import { MEAN } from "./wire.gen.ts";
import type { Picture, Site } from "./wire.ts";

interface Head {
  matrix: Matrix;
  /** blocks that nobody looked at yet */
  waiting: Block[];
}

/** Bytes of large heads that are kept, and blocks of a head that wait. */
const MAX_BYTES = 2 ** 26;
const MAX_WAITING = 64;

export const headName = (site: number, head: number): string => `${site}:${head}`;

export function createHeld() {
  const heads = signal(new Map<string, Head>());

  const unpacked = (name: string, site: Site | undefined): Matrix | undefined => {
    const head = heads.value.get(name);
    if (!head || !site) return undefined;
    for (const block of head.waiting.splice(0)) head.matrix = merged(head.matrix, block, site);
    return head.matrix;
  };

  /** All that came of a head; the mean is made of the heads where all of them are here. */
  const matrix = (site: number, head: number, of: Site | undefined): Matrix | null => {
    const whole = unpacked(headName(site, head), of);
    if (head !== MEAN || !of) return whole ?? null;
    const names = Array.from({ length: of.nHeads }, (_, h) => headName(site, h));
    if (!names.every((name) => heads.value.has(name))) return whole ?? null;
    const ofHeads = mean(names.map((name) => unpacked(name, of)));
    if (!whole || !ofHeads) return ofHeads ?? whole ?? null;
    const more = ofHeads.nQueries - whole.nQueries;
    return more > 0 || (more === 0 && worst(ofHeads) >= worst(whole)) ? ofHeads : whole;
  };

  /** Takes what a picture holds; of another run than before it replaces everything. */
  const take = ({ blocks, sums }: Picture, sites: Site[], isNew: boolean): void => {
    const next = isNew ? new Map<string, Head>() : new Map(heads.value);
    for (const block of blocks) {
      const name = headName(block.site, block.head);
      const { matrix, waiting } = next.get(name) ?? { matrix: before(block, sites, isNew) ?? empty(), waiting: [] };
      next.delete(name);
      next.set(name, { matrix, waiting: [...waiting, block] });
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
