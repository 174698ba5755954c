import { signal as state } from "@preact/signals-core";
import { describe, expect, it } from "vitest";
import { STATISTICS, withHeads, type Head } from "../src/heads.ts";
import { withPictures } from "../src/pictured.ts";
import { createStore } from "../src/store.ts";
import { byLayer, bySort, cornerOf, linesIn, moved, tileAt, type Grid } from "../src/views/grid-order.ts";
import { pixelsOf } from "../src/views/grid-paint.ts";
import { gridState } from "../src/views/grid-state.ts";
import { groupsOf } from "../src/views/sites.ts";
import type { HeadsData } from "../src/wire.gen.ts";
import { PictureError } from "../src/blocks.ts";
import { readPicture, type Site } from "../src/wire.ts";
import { block, header, packRaw } from "./picture.ts";

const numbers = (values: (number | null)[]) =>
  Object.fromEntries(STATISTICS.map((name) => [name, values])) as unknown as HeadsData["statistics"];

const told = (change: Partial<HeadsData> = {}): HeadsData => ({
  site: 0,
  at: 0,
  n_heads: 2,
  n_queries: 4,
  n_read: 4,
  n_rows: 2,
  n_columns: 3,
  offset: 4,
  statistics: numbers([0.5, null]),
  ...change,
});
const bytes = Uint8Array.from({ length: 16 }, (_, i) => i * 10);
const read = (change: Partial<HeadsData> = {}) =>
  readPicture(packRaw({ ...header(4), heads: [told(change)] }, [bytes])).heads;

describe("what a picture tells of heads", () => {
  it("comes with the bytes of each head", () => {
    const [first, second] = read();
    expect([...(first?.levels ?? [])]).toEqual([40, 50, 60, 70, 80, 90]);
    expect([...(second?.levels ?? [])]).toEqual([100, 110, 120, 130, 140, 150]);
    expect([first?.statistics.entropy, second?.statistics.entropy]).toEqual([0.5, null]);
  });

  it("may leave the pictures out", () => {
    expect(read({ n_rows: 0, n_columns: 0 }).map((head) => head.levels.length)).toEqual([0, 0]);
  });

  it("may be missing in a picture of an older kernel", () => {
    const { heads: _, ...older } = header(1);
    expect(readPicture(packRaw(older, [])).heads).toEqual([]);
  });

  it.each<[string, Partial<HeadsData>]>([
    ["more bytes than there are", { offset: 5 }],
    ["a negative offset", { offset: -1 }],
    ["a fraction", { n_rows: 1.5 }],
    ["too many heads", { n_heads: 2 ** 40, n_rows: 0, n_columns: 0 }],
    ["a huge picture", { n_rows: 2 ** 30 }],
    ["fewer numbers than heads", { statistics: numbers([1]) }],
    ["numbers that are none", { statistics: numbers(["1" as unknown as number, null]) }],
    ["no numbers", { statistics: undefined as unknown as HeadsData["statistics"] }],
    ["a site that is none", { site: -1 }],
  ])("with %s is refused with a sentence", (_, change) => {
    expect(() => read(change)).toThrow(PictureError);
  });

  it("gets a picture of its weights where it has none: the largest of each square, scaled by row", () => {
    const [head] = read({ n_rows: 0, n_columns: 0 });
    const n = 64;
    const weights = Array.from({ length: n }, () => Array<number>(n).fill(0.1));
    for (const [q, k, weight] of [
      [0, 0, 0.5],
      [1, 3, 0.25],
      [63, 62, Number.POSITIVE_INFINITY],
    ] as const)
      (weights[q] ?? [])[k] = weight;
    const told = new Map([["0:0", { ...(head as Head), nQueries: n }]]);
    const found = withPictures(told, [block(0, weights)]).get("0:0");
    expect([found?.nRows, found?.nColumns]).toEqual([32, 32]);
    expect([...(found?.levels ?? [])].slice(0, 3)).toEqual([255, 128, 51]);
    expect(found?.levels.at(-1)).toBe(255);
    expect(withPictures(told, [block(0, weights.slice(1))])).toBe(told);
  });

  it("is never replaced by what is older, or by a smaller picture of the same rows", () => {
    const [head] = read();
    const known = withHeads(new Map(), [head as Head]);
    const small = { ...(head as Head), levels: new Uint8Array(0), nRows: 0, nColumns: 0 };
    expect(withHeads(known, [{ ...(head as Head), nQueries: 3 }]).get("0:0")).toBe(head);
    expect(withHeads(known, [small]).get("0:0")).toBe(head);
    expect(withHeads(known, [{ ...small, nQueries: 5 }]).get("0:0")?.nQueries).toBe(5);
  });

  it("turns with the heatmap", () => {
    const [head] = read();
    const reds = (turned: boolean) => [...pixelsOf(head as Head, true, turned).rgba].filter((_, i) => i % 4 === 0);
    const [a, b, c, d, e, f] = reds(false);
    expect(reds(true)).toEqual([a, d, b, e, c, f]);
    expect(pixelsOf(head as Head, true, true).width).toBe(2);
  });

  it("a mask over patches is a tile of patches", () => {
    const [head] = read();
    const mask = { ...(head as Head), nRows: 1, nColumns: 6, levels: new Uint8Array(6) };
    expect([0, 3, 4].map((across) => pixelsOf(mask, true, false, across).width)).toEqual([6, 3, 6]);
  });
});

const site = (nHeads: number, layer = 0, kind: Site["kind"] = "encoder"): Site => ({
  name: `${kind}.${layer}`,
  kind,
  layer,
  nHeads,
  query: "source",
  key: "source",
  asks: "",
  nQueries: 4,
  nKeys: 4,
  flags: [],
});
const grids: [string, Grid][] = [
  ["1 head", [site(1)], 700],
  ["12 x 12", Array.from({ length: 12 }, (_, layer) => site(12, layer)), 700],
  ["32 x 32", Array.from({ length: 32 }, (_, layer) => site(32, layer)), 640],
  ["128 heads", [site(128)], 700],
  ["128 heads in little room", [site(128)], 60],
  ["three kinds", [site(4), site(3, 0, "decoder"), site(5, 0, "cross"), site(2, 1, "cross")], 700],
].map(([name, sites, width]): [string, Grid] => [
  name as string,
  byLayer(sites as Site[], groupsOf(sites as Site[]), width as number),
]);

describe.each(grids)("the grid of %s", (_, grid) => {
  it("finds each tile under its own middle", () => {
    for (const index of grid.tiles.keys()) {
      const [x, y] = cornerOf(grid, index);
      expect(tileAt(grid, x + grid.size / 2, y + grid.size / 2)).toBe(index);
    }
  });

  it("finds nothing outside", () => {
    expect([
      tileAt(grid, -50, 20),
      tileAt(grid, 1e5, 20),
      tileAt(grid, 5, -1),
      tileAt(grid, 5, grid.height + 1),
    ]).toEqual([-1, -1, -1, -1]);
  });

  it("stacks lines without overlap, and all are in it", () => {
    for (const [i, line] of grid.lines.entries())
      expect(line.top).toBeGreaterThanOrEqual(i ? (grid.lines[i - 1]?.top ?? 0) + grid.size : 0);
    expect(linesIn(grid, 0, grid.height)).toHaveLength(grid.lines.length);
    expect(grid.lines.reduce((sum, line) => sum + line.count, 0)).toBe(grid.tiles.length);
  });

  it("is walked through by arrows, to its ends and no further", () => {
    const last = grid.tiles.length - 1;
    expect([moved(grid, 0, -1, 0), moved(grid, last, 1, 0), moved(grid, 0, 0, -1)]).toEqual([0, last, 0]);
    expect(moved(grid, 0, Number.MAX_SAFE_INTEGER, 0)).toBe(last);
    expect(moved(grid, -1, 1, 0)).toBe(0);
    expect(moved(grid, 0, 0, 1)).toBe(grid.lines[1]?.first ?? 0);
  });
});

describe("layers", () => {
  it("of all heads stay in one line where they can be seen", () => {
    const [, , large, wide] = grids.map(([, grid]) => grid);
    expect(large?.lines.map((line) => line.count)).toEqual(Array.from({ length: 32 }, () => 32));
    expect(wide?.lines.map((line) => line.more)).toEqual([null, [32, 64], [64, 96], [96, 128]]);
  });

  it("of several kinds stand under the name of each", () => {
    expect(grids[5]?.[1].titles.map((title) => title.site)).toEqual([0, 1, 2]);
  });
});

describe("sorted heads", () => {
  const sites = [site(2), site(2, 1)];
  const values = [0.25, null, 0.75, 0.5];
  const heads = new Map(
    values.map((value, i): [string, Head] => [
      `${i >> 1}:${i & 1}`,
      {
        site: i >> 1,
        head: i & 1,
        nQueries: 4,
        nRead: 4,
        nRows: 0,
        nColumns: 0,
        levels: new Uint8Array(0),
        statistics: {
          ...Object.fromEntries(STATISTICS.map((name) => [name, 0])),
          induction: value,
        } as Head["statistics"],
      },
    ]),
  );
  const order = (sort: Parameters<typeof bySort>[2], from = heads) =>
    bySort(sites, from, sort, 700, 1).tiles.map((tile) => `${tile.site}:${tile.head}`);

  it("have most of it first, and those without it last", () => {
    expect(order("induction")).toEqual(["1:0", "1:1", "0:0", "0:1"]);
  });

  it("have least of it first where that is asked, and those without it still last", () => {
    expect(order("-entropy")).toEqual(["0:0", "0:1", "1:0", "1:1"]);
    expect(order("-induction" as "-entropy")).toEqual(["0:0", "1:1", "1:0", "0:1"]);
  });

  it("that are alike, or not told of, keep the order of layers", () => {
    expect(order("entropy")).toEqual(["0:0", "0:1", "1:0", "1:1"]);
    expect(order("entropy", new Map())).toEqual(["0:0", "0:1", "1:0", "1:1"]);
  });
});

describe("the state of the grid", () => {
  const opened = (nHeads: number, heads: HeadsData[] = []) => {
    const store = createStore(state(false));
    const sites = header(4).sites.map((each) => ({ ...each, n_heads: nHeads }));
    store.merge(readPicture(packRaw({ ...header(4, { sites }), heads }, [bytes])));
    return { store, grid: gridState(store, state(600)) };
  };

  it("is closed for one head, open for several, and what a person says after that", () => {
    expect([opened(1).grid.isOpen.value, opened(2).grid.isOpen.value]).toEqual([false, true]);
    const { grid } = opened(2);
    grid.opened.value = false;
    expect(grid.isOpen.value).toBe(false);
  });

  it("knows which sites were not told of", () => {
    expect(opened(2).grid.lacking.value).toEqual([0]);
    expect(opened(2, [told()]).grid.lacking.value).toEqual([]);
    expect(opened(3, [told()]).grid.lacking.value).toEqual([0]);
    expect(opened(2, [told({ n_queries: 3 })]).grid.lacking.value).toEqual([0]);
  });

  it("tells the numbers of a head, without those that it has not", () => {
    const { grid } = opened(2, [told()]);
    expect(grid.tell(0).name).toBe("layer 1, head 1");
    expect(grid.tell(0).numbers[0]).toBe("entropy 0.50 bits");
    expect(grid.tell(1)).toEqual({ name: "layer 1, head 2", numbers: [] });
    expect(grid.tell(-1)).toEqual({ name: "", numbers: [] });
  });

  it("offers only what some head has", () => {
    expect(opened(2, [told({ statistics: { ...numbers([null, null]), first: [1, null] } })]).grid.sorts.value).toEqual([
      ["layer", "layer"],
      ["first", "first token (sink)"],
    ]);
  });

  it("frames the head that is selected, and none for the mean", () => {
    const { store, grid } = opened(3);
    expect(grid.selected.value).toBe(-1);
    store.select({ head: 2 });
    expect(grid.selected.value).toBe(2);
    expect(opened(1).grid.selected.value).toBe(0);
  });
});
