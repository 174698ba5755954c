import { signal as state } from "@preact/signals-core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createAsking } from "../src/asking.ts";
import { createStore, type Store } from "../src/store.ts";
import { remarksOf } from "../src/views/flags.ts";
import type { PictureData, ToKernel } from "../src/wire.gen.ts";
import { readPicture, type Picture } from "../src/wire.ts";
import { header, pack, packRaw } from "./picture.ts";

const N = 1024;
const site = header(0).sites[0] ?? expect.fail("no site");
let end = new AbortController();
beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  end.abort();
  end = new AbortController();
});

function large(change: Partial<PictureData> = {}): PictureData {
  const texts = ["a", "b"];
  return header(0, {
    status: "complete",
    sites: [{ ...site, n_heads: 2, n_queries: N, n_keys: N }],
    strips: [{ name: "source", n_tokens: 2, at: 0, texts, scene: null }],
    ...change,
  });
}

const small = { ...site, n_queries: 2, n_keys: 1 };

function opened(data = large()): { store: Store; sent: ToKernel[]; asking: ReturnType<typeof createAsking> } {
  const store = createStore(state(false));
  const sent: ToKernel[] = [];
  const asking = createAsking(store, (message) => sent.push(message), end.signal);
  store.merge(readPicture(pack(data)));
  const span = { first: 0, end: N, per: 8 };
  store.shown.value = { queries: span, keys: span };
  return { store, sent, asking };
}

/** Rows around the one that is looked at, which a kernel sends with it. */
const NEAR = 8;

/** What the kernel answers to a view: its cells, and rows around its step. */
function answer(store: Store, step: number, head = -1, nHeads = 2): Picture {
  const [first, last] = [Math.max(0, step - NEAR), Math.min(N, step + NEAR + 1)];
  const cells = new Uint8Array(Float32Array.from({ length: 128 * 128 }, () => 0.5).buffer);
  const row = new Uint8Array(new Float32Array((last - first) * N).buffer);
  const of = { site: 0, head, dtype: "f4" as const, n_odd: 0, levels: 0, sampled: false };
  const blocks = [
    { ...of, queries: [0, N, 8], keys: [0, N, 8], whole: false, offset: 0, n_bytes: cells.byteLength },
    { ...of, queries: [first, last, 1], keys: [0, N, 1], whole: true, offset: cells.byteLength, n_bytes: row.length },
  ];
  const sums = [{ site: 0, head, n_steps: step + 1, offset: cells.byteLength }];
  const data = large();
  const sites = data.sites.map((one) => ({ ...one, n_heads: nHeads }));
  const picture = readPicture(packRaw({ ...data, sites, blocks, sums }, [cells, row]));
  store.merge(picture);
  return picture;
}

/** Longer than the page waits, after what was asked for came, before it asks for what may be wanted next. */
const later = () => vi.advanceTimersByTime(200);

const views = (sent: ToKernel[]) => sent.filter((message) => message.t === "view");

describe("what the page asks for", () => {
  it("is the part of a large head that is looked at, and not the whole of it", () => {
    const { sent } = opened();
    const all = [0, N, 8];
    expect(sent).toEqual([{ t: "view", run: "a", site: 0, head: -1, queries: all, keys: all, step: 0, cells: 1 }]);
  });

  it("is one view at a time, and the latest next", () => {
    const { store, sent, asking } = opened();
    for (const step of [25, 26, 27]) store.select({ step });
    expect(views(sent)).toHaveLength(1);
    asking.answered(answer(store, 0));
    later();
    expect(views(sent).map((view) => view.step)).toEqual([0, 27]);
  });

  it("is told of while the row that a sentence is made of has not come", () => {
    const { store } = opened();
    const isTold = () => remarksOf(store).includes(store.words.coarse);
    answer(store, 500);
    expect(isTold()).toBe(true); // the cells are here, and row 0 is not
    answer(store, 0);
    expect(isTold()).toBe(false);
  });

  it("is nothing early for a moment after something that had to be waited for", () => {
    const { store, sent, asking } = opened();
    asking.answered(answer(store, 0));
    expect(views(sent)).toHaveLength(1);
    store.select({ step: 500 });
    expect(views(sent).map((view) => view.step)).toEqual([0, 500]);
    asking.answered(answer(store, 500));
    later();
    expect(views(sent).map((view) => [view.head, view.step])).toEqual([
      [-1, 0],
      [-1, 500],
      [0, 500],
    ]);
  });

  it("is the next view when the one before came, not when another picture overtakes it", () => {
    const { store, sent, asking } = opened();
    asking.answered(answer(store, 0));
    later();
    store.select({ step: 500 });
    store.select({ step: 900 });
    asking.answered(answer(store, 0, 0)); // of the head beside, which was asked for before
    expect(views(sent).map((view) => [view.head, view.step])).toEqual([
      [-1, 0],
      [0, 0],
      [-1, 500],
    ]);
    asking.answered(answer(store, 500));
    expect(views(sent).at(-1)).toMatchObject({ head: -1, step: 900, cells: 0 });
  });

  it("is nothing where all is here", () => {
    const { store, sent, asking } = opened();
    asking.answered(answer(store, 0));
    later();
    store.focus.value = { query: null, key: 3 };
    expect(views(sent).filter(({ head }) => head === -1)).toHaveLength(1);
  });

  it("is another part when the window moves, and another head when that is chosen", () => {
    const { store, sent, asking } = opened();
    asking.answered(answer(store, 0));
    later();
    store.shown.value = { queries: { first: 64, end: 128, per: 1 }, keys: { first: 0, end: N, per: 8 } };
    asking.answered();
    store.select({ head: 1 });
    expect(views(sent).map((view) => [view.head, view.queries])).toEqual([
      [-1, [0, N, 8]],
      [0, [0, N, 8]], // which will be looked at next
      [-1, [64, 128, 1]],
      [1, [64, 128, 1]],
    ]);
  });

  const grown = (nQueries: number, status: PictureData["status"] = "recording") =>
    large({ status, sites: [{ ...site, n_heads: 1, n_queries: nQueries, n_keys: N }] });
  const cells = (nQueries: number, status?: PictureData["status"]) => {
    const values = new Uint8Array(Float32Array.from({ length: Math.ceil(nQueries / 8) * 128 }, () => 0.5).buffer);
    const of = { site: 0, head: 0, dtype: "f4" as const, n_odd: 0, levels: 0, sampled: false, whole: false };
    const block = { ...of, queries: [0, nQueries, 8], keys: [0, N, 8], offset: 0, n_bytes: values.byteLength };
    return readPicture(packRaw({ ...grown(nQueries, status), blocks: [block] }, [values]));
  };
  const rows = (at: number, n: number) => ({ at, rows: Array.from({ length: n }, () => Array<number>(N).fill(0.25)) });

  it("is nothing of rows that came one by one, which cells of them do not replace", () => {
    const { store, sent, asking } = opened(grown(0));
    store.merge(readPicture(pack(grown(600), [rows(0, 600)])));
    store.shown.value = { queries: { first: 0, end: 600, per: 8 }, keys: { first: 0, end: N, per: 8 } };
    store.merge(cells(603)); // of which three rows are on their way
    asking.answered();
    expect(store.matrix(0, 0)).toMatchObject({ large: null, nQueries: 600 });
    store.merge(readPicture(pack(grown(603), [rows(600, 3)])));
    store.merge(cells(603, "complete"));
    asking.answered();
    expect(store.matrix(0, 0)).toMatchObject({ large: null, nQueries: 603 });
    expect(store.received.value.values[0]).toBe(store.nSeen.value / 4);
    expect(views(sent)).toEqual([]);
    store.merge(cells(606, "complete")); // three more did not come, and will not
    expect(store.matrix(0, 0)?.large).not.toBeNull();
    expect(store.received.value).toMatchObject({ nSteps: 603 });
  });

  it("is a head that grows while its sums are read, once in many rows", () => {
    const { store, sent, asking } = opened(grown(600));
    const grow = (nQueries: number) => {
      store.merge(cells(nQueries));
      const queries = { first: 0, end: nQueries, per: 8 };
      store.shown.value = { queries, keys: { first: 0, end: N, per: 8 } };
      store.select({ step: nQueries - 1 });
      asking.answered();
      return views(sent).length;
    };
    const first = grow(600);
    expect([grow(610), grow(620), grow(900)]).toEqual([first, first, first]);
    expect(grow(1100)).toBeGreaterThan(first);
  });

  it("is asked again where no answer came", () => {
    const { store, sent } = opened();
    store.select({ step: 9 });
    vi.advanceTimersByTime(5000);
    expect(views(sent).map((view) => view.step)).toEqual([0, 9]);
  });

  it("is asked again where no answer came, a few times, and no more once it is there", () => {
    const { store, sent } = opened(large({ sites: [{ ...small, n_heads: 2 }] }));
    const fetches = () => sent.filter((message) => message.t === "fetch").length;
    expect(fetches()).toBe(1);
    vi.advanceTimersByTime(4000);
    expect(fetches()).toBe(2);
    vi.advanceTimersByTime(3_600_000);
    expect(fetches()).toBe(6);
    store.select({ head: 1 });
    expect(fetches()).toBe(7);
    const rows = [{ at: 0, rows: [[1], [1]], head: 1 }];
    store.merge(readPicture(pack(large({ sites: [{ ...small, n_heads: 2 }] }), rows)));
    vi.advanceTimersByTime(3_600_000);
    expect(fetches()).toBe(7);
  });

  it("is the heads beside it once it is read to its end", () => {
    const { store, sent, asking } = opened();
    store.select({ head: 0 });
    asking.answered(answer(store, 0));
    later();
    asking.answered(answer(store, 0, 0));
    later();
    expect(views(sent).map((view) => view.head)).toEqual([-1, 0, 1]);
  });

  it("is the next heads also behind one that was here before anybody looked at it", () => {
    const { store, sent, asking } = opened();
    for (const head of [-1, 0]) {
      asking.answered(answer(store, 0, head));
      later();
    }
    store.select({ head: 0 });
    expect(views(sent).map((view) => view.head)).toEqual([-1, 0, 1]);
  });

  it("is rows without cells where the cells are here, before somebody steps to them", () => {
    const { store, sent, asking } = opened();
    for (const head of [-1, 0]) {
      asking.answered(answer(store, 0, head));
      later();
    }
    store.select({ step: NEAR - 3 });
    expect(views(sent)).toHaveLength(2);
    store.select({ step: NEAR - 2 });
    expect(views(sent).at(-1)).toMatchObject({ head: -1, step: NEAR + 1, cells: 0 });
    store.select({ step: N - 1 });
    expect(views(sent).at(-1)).toMatchObject({ head: -1, step: N - 1, cells: 0 });
    expect(views(sent)).toHaveLength(4);
  });

  it("is rows of the only head, which is its own mean", () => {
    const { store, sent, asking } = opened(large({ sites: [{ ...site, n_queries: N, n_keys: N, n_heads: 1 }] }));
    asking.answered(answer(store, 0, 0, 1));
    later();
    expect(store.slice.value.absent).toBe(false);
    store.select({ step: NEAR - 2 });
    expect(views(sent).map((view) => [view.head, view.step, view.cells])).toEqual([
      [0, 0, 1],
      [0, NEAR + 1, 0],
    ]);
  });

  it("is a head again that was forgotten", () => {
    const { store, sent, asking } = opened();
    for (const head of [0, 1, 0]) {
      asking.answered();
      store.select({ head });
    }
    asking.answered();
    expect(views(sent).map((view) => view.head)).toEqual([-1, 0, 1, 0]);
  });

  it("is each missing token of a long strip, once", () => {
    const texts = Array.from({ length: 4 }, (_, i) => `t${i}`);
    const strip = (at: number) => [{ name: "source", n_tokens: 12, at, texts, scene: null }];
    const { store, sent } = opened(large({ strips: strip(0) }));
    store.merge(readPicture(pack(large({ strips: strip(8) }))));
    store.merge(readPicture(pack(large({ strips: strip(4) }))));
    expect(sent.filter((message) => message.t === "texts").map((message) => message.at)).toEqual([4]);
    expect(store.outline.value.strips.source).toEqual([...texts, ...texts, ...texts]);
  });

  it("is each missing token also behind tokens that look like missing ones", () => {
    const strip = (at: number, texts: string[]) => [{ name: "source", n_tokens: 7, at, texts, scene: null }];
    const { store, sent, asking } = opened(large({ strips: strip(0, ["a", "…", "…"]) }));
    const asked = () => sent.flatMap((message) => (message.t === "texts" ? [message.at] : []));
    const answer = (at: number, texts: string[]) => {
      const picture = readPicture(pack(large({ strips: strip(at, texts) })));
      store.merge(picture);
      asking.answered(picture);
    };
    expect(asked()).toEqual([1]);
    answer(1, ["…", "…", "…", "…"]);
    expect(asked()).toEqual([1, 5]);
    answer(5, ["…", "b"]);
    expect(asked()).toEqual([1, 5]);
    expect(store.outline.value.strips.source).toEqual(["a", "…", "…", "…", "…", "…", "b"]);
  });
});
