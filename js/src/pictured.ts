/** Small pictures of heads that were told without one, made of their weights: `attnwidget/survey.py` makes the same. */
import { nCells, type Block } from "./blocks.ts";
import { headName, type Head } from "./heads.ts";

/** A picture has at most so many squares along an axis. */
const SIDE = 32;

/** Gives heads that lack a picture one, where all their weights came in one block. */
export function withPictures(heads: Map<string, Head>, blocks: Block[]): Map<string, Head> {
  const made = blocks.flatMap((block) => {
    const name = headName(block.site, block.head);
    const head = heads.get(name);
    return head && !head.levels.length && isAll(block, head) ? [[name, pictured(head, block)] as const] : [];
  });
  return made.length ? new Map([...heads, ...made]) : heads;
}

const isAll = ({ whole, queries, keys }: Block, head: Head) =>
  whole && queries.per * keys.per === 1 && queries.first === 0 && queries.end === head.nQueries;

function pictured(head: Head, block: Block): Head {
  const [nQueries, nKeys] = [nCells(block.queries), nCells(block.keys)];
  let pool = 1;
  while (Math.max(nQueries, nKeys) > SIDE * pool) pool *= 2;
  const [nRows, nColumns] = [Math.ceil(nQueries / pool), Math.ceil(nKeys / pool)];
  const squares = new Float32Array(nRows * nColumns);
  const values = block.values();
  for (let q = 0, i = 0; q < nQueries; q++)
    for (let k = 0, at = Math.floor(q / pool) * nColumns; k < nKeys; k++, i++) {
      const square = at + Math.floor(k / pool);
      const weight = values[i] ?? 0;
      if (weight > (squares[square] ?? 0) && weight < Number.POSITIVE_INFINITY) squares[square] = weight;
    }
  const levels = new Uint8Array(squares.length);
  for (let row = 0; row < levels.length; row += nColumns) {
    const top = squares.subarray(row, row + nColumns).reduce((most, weight) => Math.max(most, weight), 0);
    for (let i = row; top && i < row + nColumns; i++) levels[i] = Math.round(((squares[i] ?? 0) / top) * 255);
  }
  return { ...head, nRows, nColumns, levels };
}
