/** Where the tile of each head stands: layer by layer, or in the order of a statistic. */
import { headName, type Head, type Statistic } from "../heads.ts";
import type { Site } from "../wire.ts";

/** What heads are sorted by; "-" before a statistic is least first. */
export type Sort = "layer" | Statistic | `-${Statistic}`;

/** CSS pixels. */
const GAP = 4;
const SIZE = { least: 14, sorted: 44, many: 48, few: 64 };
/** Tiles of few lines are larger, as long as all fit into this height. */
const HEIGHT = 320;
const PITCH_SORTED = { one: 58, several: 84 };
const CAPTION = 27;
const NUMBERS = 16;
const TITLE = 20;
const BETWEEN = 10;

export interface Tile {
  site: number;
  head: number;
}

/** Tiles side by side, from the left edge on. */
export interface Line {
  /** y of the tiles */
  top: number;
  /** index of the first tile */
  first: number;
  count: number;
  /** site that stands before it; -1 for none */
  site: number;
  /** heads of a site that goes on from the line above, [first, end); null for others */
  more: [number, number] | null;
}

export interface Grid {
  tiles: Tile[];
  lines: Line[];
  /** group of sites, by its first one, and y of its name */
  titles: { site: number; top: number }[];
  /** side of a tile, and from one tile to the next */
  size: number;
  pitch: number;
  height: number;
  /** room below a tile for its name and number; 0 for none */
  below: number;
  /** heads of each layer in one line, numbered above it */
  numbered: boolean;
}

/** A line of tiles for each site, or several where they do not fit. */
export function byLayer(sites: Site[], groups: number[][], width: number): Grid {
  const longest = Math.max(1, ...sites.map((site) => site.nHeads));
  const fits = Math.max(1, Math.floor((width + GAP) / (SIZE.least + GAP)));
  const perLine = longest <= fits ? longest : 2 ** Math.floor(Math.log2(fits));
  const nLines = sites.reduce((sum, site) => sum + Math.ceil(site.nHeads / perLine), 0);
  const room = (HEIGHT - NUMBERS - groups.length * (TITLE + BETWEEN)) / Math.max(1, nLines) - GAP;
  const most = Math.max(SIZE.many, Math.min(SIZE.few, Math.floor(room)));
  const size = Math.min(most, Math.floor((width + GAP) / perLine) - GAP);
  const tiles: Tile[] = [];
  const lines: Line[] = [];
  const titles: Grid["titles"] = [];
  const numbered = longest > 1 && longest <= fits;
  let y = 0;
  for (const members of groups) {
    if (groups.length > 1) {
      if (y) y += BETWEEN;
      titles.push({ site: members[0] ?? 0, top: y });
      y += TITLE;
    }
    if (numbered && !lines.length) y += NUMBERS;
    for (const site of members)
      for (let at = 0; at < (sites[site]?.nHeads ?? 0); at += perLine) {
        const count = Math.min(perLine, (sites[site]?.nHeads ?? 0) - at);
        lines.push({ top: y, first: tiles.length, count, site: at ? -1 : site, more: at ? [at, at + count] : null });
        for (let i = 0; i < count; i++) tiles.push({ site, head: at + i });
        y += size + GAP;
      }
  }
  return { tiles, lines, titles, size, pitch: size + GAP, height: y, below: 0, numbered };
}

/** All heads in lines, those first that have most of a statistic, or least; those without it last. */
export function bySort(sites: Site[], heads: Map<string, Head>, sort: Sort, width: number, nGroups: number): Grid {
  const tiles = sorted(
    sites.flatMap((each, site) => Array.from({ length: each.nHeads }, (_, head) => ({ site, head }))),
    heads,
    sort,
  );
  const pitch = PITCH_SORTED[nGroups > 1 ? "several" : "one"];
  const perLine = Math.max(1, Math.floor((width + pitch - SIZE.sorted) / pitch));
  const high = SIZE.sorted + CAPTION + GAP;
  const lines = Array.from({ length: Math.ceil(tiles.length / perLine) }, (_, i) => ({
    top: i * high,
    first: i * perLine,
    count: Math.min(perLine, tiles.length - i * perLine),
    site: -1,
    more: null,
  }));
  const height = lines.length * high;
  return { tiles, lines, titles: [], size: SIZE.sorted, pitch, height, below: CAPTION, numbered: false };
}

export function sorted(tiles: Tile[], heads: Map<string, Head>, sort: Sort): Tile[] {
  const name = sort.replace("-", "") as Statistic;
  const sign = sort.startsWith("-") ? 1 : -1;
  const key = ({ site, head }: Tile) => {
    const value = heads.get(headName(site, head))?.statistics[name];
    return value === null || value === undefined ? Number.POSITIVE_INFINITY : sign * value;
  };
  const keyed = tiles.map((tile) => ({ tile, at: key(tile) }));
  return keyed.sort((a, b) => (a.at === b.at ? 0 : a.at - b.at)).map(({ tile }) => tile); // stable
}

/** Left and top of a tile. */
export function cornerOf(grid: Grid, index: number): [number, number] {
  const line = lineOf(grid, index);
  return line ? [(index - line.first) * grid.pitch, line.top] : [0, 0];
}

const lineOf = (grid: Grid, index: number): Line | undefined =>
  grid.lines.find((line) => index >= line.first && index < line.first + line.count);

/** The tile under a point, its caption included, or -1. */
export function tileAt(grid: Grid, x: number, y: number): number {
  const high = grid.size + grid.below + GAP;
  const line = grid.lines.find(({ top }) => y >= top && y < top + high);
  const slack = (grid.pitch - grid.size) / 2; // no gaps between neighbours
  const column = Math.floor((x + slack) / grid.pitch);
  return line && column >= 0 && column < line.count ? line.first + column : -1;
}

/** Lines of which something is seen between two heights. */
export function linesIn(grid: Grid, from: number, to: number): Line[] {
  const high = grid.size + grid.below;
  return grid.lines.filter(({ top }) => top + high > from && top < to);
}

/** The tile some columns or lines away. */
export function moved(grid: Grid, index: number, columns: number, rows: number): number {
  const line = lineOf(grid, index);
  if (!line) return grid.tiles.length ? 0 : -1;
  const inside = (n: number, count: number) => Math.max(0, Math.min(count - 1, n));
  if (!rows) return inside(index + columns, grid.tiles.length);
  const next = grid.lines[inside(grid.lines.indexOf(line) + rows, grid.lines.length)] ?? line;
  return next.first + inside(index - line.first, next.count);
}
