import { effect, signal as state } from "@preact/signals-core";
import { describe, expect, it } from "vitest";
import { createStore } from "../src/store.ts";
import { chosenLinks, MAX_LINKS } from "../src/views/links.ts";
import { barsOf } from "../src/views/strength-bars.ts";
import { sentenceOf } from "../src/views/sentence.ts";
import { axis } from "../src/scales.ts";
import { readPicture } from "../src/wire.ts";
import { MEAN } from "../src/wire.gen.ts";
import { block, header, pack, peak, type Rows } from "./picture.ts";

const picture = (n: number, blocks: Rows[], change = {}) => readPicture(pack(header(n, change), blocks));
const rows = (n: number): Rows[] => [{ rows: Array.from({ length: n }, (_, q) => peak(q % 5)) }];
const opened = (n = 4) => {
  const store = createStore(state(false));
  store.merge(picture(n, rows(n)));
  return store;
};

describe("the store", () => {
  it("follows the last step while rows come", () => {
    const store = opened(2);
    store.select({ step: 1 });
    store.merge(picture(3, [{ at: 2, rows: [peak(2)] }]));
    expect(store.selection.value.step).toBe(2);
  });

  it.each(["constructor", "__proto__", "toString"])("has the tokens of a strip that is called %s", (name) => {
    const store = createStore(state(false));
    const sites = header(1).sites.map((site) => ({ ...site, key: name }));
    const strip = { name, n_tokens: 3, at: 0, texts: ["a", "b", "c"], scene: null };
    const merge = (change: object) => store.merge(readPicture(pack(header(1, { sites, ...change }), [])));
    merge({ strips: [strip] });
    merge({ strips: [{ ...strip, n_tokens: 4, at: 3, texts: ["d"] }] });
    expect(store.slice.value.keys).toEqual(["a", "b", "c", "d"]);
    expect([store.slice.value.keyScene, ({} as Record<string, unknown>)[3]]).toEqual([null, undefined]);
  });

  it("has one mean of heads until something comes of one of them", () => {
    const store = createStore(state(false));
    const sites = header(1).sites.map((site) => ({ ...site, n_heads: 2 }));
    const both = [0, 1].map((head) => ({ head, rows: [peak(head)] }));
    store.merge(picture(1, both, { sites }));
    const before = store.matrix(0, MEAN);
    expect(store.matrix(0, MEAN)).toBe(before);
    store.merge(picture(1, [{ head: 1, rows: [peak(0)] }], { sites }));
    expect(store.matrix(0, MEAN)?.values[0]).toBeCloseTo(0.6);
  });

  it("keeps the mean while one head has more rows than another", () => {
    const store = createStore(state(false));
    const sites = (n: number) => header(n).sites.map((site) => ({ ...site, n_heads: 2 }));
    const heads = [0, 1].map((head) => ({ head, rows: [peak(head)] }));
    store.merge(picture(1, heads, { sites: sites(1) }));
    expect(store.slice.value.matrix.nQueries).toBe(1);
    store.merge(picture(2, [{ head: 0, at: 1, rows: [peak(2)] }], { sites: sites(2) }));
    expect(store.slice.value.matrix.nQueries).toBe(1);
    store.merge(picture(2, [{ head: 1, at: 1, rows: [peak(2)] }], { sites: sites(2) }));
    expect([...store.slice.value.matrix.values.slice(5)].map((w) => Number(w.toFixed(4)))).toEqual(peak(2));
  });

  it("unpacks heads again that were looked at long ago", () => {
    const store = createStore(state(false));
    const n = 2048;
    const unpacked: number[] = [];
    const span = { first: 0, end: n, per: 1 };
    const blocks = [0, 1, 2].map((head) => ({
      ...block(0, []),
      ...{ head, queries: span, keys: span },
      values: () => (unpacked.push(head), new Float32Array(n * n).fill(head)),
    }));
    const sites = header(n).sites.map((site) => ({ ...site, n_heads: 3, n_keys: n }));
    store.merge({ ...readPicture(pack(header(1, { sites }))), blocks });
    const found = [0, 1, 0, 2, 0, 1].map((head) => store.matrix(0, head)?.values[n]);
    expect([found, unpacked]).toEqual([
      [0, 1, 0, 2, 0, 1],
      [0, 1, 2, 1],
    ]);
  });

  it("goes on with the mean where its heads stop to come", () => {
    const store = createStore(state(false));
    const sites = (n: number) => header(n).sites.map((site) => ({ ...site, n_heads: 2 }));
    const heads = [0, 1].map((head) => ({ head, rows: [peak(0), peak(head)] }));
    store.merge(picture(2, heads, { sites: sites(2) }));
    store.merge(picture(3, [{ head: -1, at: 2, rows: [peak(3)] }], { sites: sites(3) }));
    const { values, precision } = store.slice.value.matrix;
    const half = peak(0).map((weight, k) => (weight + (peak(1)[k] ?? 0)) / 2);
    expect([...values].map((weight) => Number(weight.toFixed(4)))).toEqual([...peak(0), ...half, ...peak(3)]);
    expect([...precision]).toEqual([3, 3, 3]);
  });

  it("names rows and columns after the strips that a site counts", () => {
    const store = createStore(state(false));
    const strips = [
      { name: "context", at: 0, texts: ["<s>", "Once", "upon"] },
      { name: "target", at: 0, texts: ["upon", "a"] },
    ];
    const sites = header(2).sites.map((site) => ({ ...site, kind: "decoder" as const, key: "context", n_keys: 3 }));
    const of = (count: number) => strips.map((strip) => ({ ...strip, texts: strip.texts.slice(0, count) }));
    const block = { rows: [[0.5, 0.5, 0]] };
    store.merge(picture(1, [block], { strips: of(2), sites }));
    store.merge(picture(2, [{ at: 1, rows: [[0.2, 0.3, 0.5]] }], { strips, sites }));
    expect([store.slice.value.queries, store.slice.value.keys]).toEqual([strips[1]?.texts, strips[0]?.texts]);
    expect(store.slice.value.matrix.nKeys).toBe(3);
  });

  it("knows what a decoder had read at a step", () => {
    const store = createStore(state(false));
    const strips = [
      { name: "context", at: 0, texts: ["<s>", "Once", "upon"] },
      { name: "target", at: 0, texts: ["upon", "a"] },
    ];
    const sites = header(2).sites.map((site) => ({ ...site, kind: "decoder" as const, key: "context", n_keys: 3 }));
    const whole = [
      [0.5, 0.5, 0],
      [0.2, 0.3, 0.5],
    ];
    store.merge(picture(2, [{ rows: whole }], { strips, sites }));
    const read = [0, 1].map((step) => (store.select({ step }), store.nRead.value));
    expect(read).toEqual([2, 3]);
    store.select({ step: 0 });
    expect(barsOf(store, axis(3, 300, 3, 100)).map((bar) => bar.verdict)).toEqual(["", "", ""]);
  });

  it("has read all of an input from the first step", () => {
    const store = opened(3);
    store.select({ step: 0 });
    expect(store.nRead.value).toBe(5);
  });

  it("stays at the step that was chosen while rows come", () => {
    const store = opened(3);
    store.select({ step: 1 });
    store.merge(picture(4, [{ at: 3, rows: [peak(3)] }]));
    expect(store.selection.value.step).toBe(1);
  });

  it("keeps the chosen head when a picture arrives", () => {
    const store = opened(2);
    store.select({ head: 0 });
    store.merge(picture(3, [{ at: 2, rows: [peak(2)] }]));
    expect(store.selection.value.head).toBe(0);
  });

  it("starts anew with another run", () => {
    const store = opened(4);
    store.merge(picture(1, [{ rows: [peak(4)] }], { run: "b" }));
    expect(store.slice.value.matrix.nQueries).toBe(1);
    expect(store.selection.value.step).toBe(0);
  });

  it("does not reopen a run that ended", () => {
    const store = opened(2);
    store.merge(picture(2, [], { status: "complete" }));
    store.merge(picture(2, [], { status: "recording" }));
    expect(store.outline.value.status).toBe("complete");
  });

  it("merging a picture twice changes nothing", () => {
    const store = opened(3);
    const before = JSON.stringify([store.outline.value, [...store.slice.value.matrix.values]]);
    store.merge(picture(3, rows(3)));
    expect(JSON.stringify([store.outline.value, [...store.slice.value.matrix.values]])).toBe(before);
  });

  it("gazes at what is hovered, else at what is chosen", () => {
    const store = opened(4);
    store.select({ step: 1, locked: [3] });
    store.focus.value = { query: 2, key: 4 };
    expect(store.gaze.value).toEqual({ query: 2, keys: [4, 3] });
    store.focus.value = { query: null, key: null };
    expect(store.gaze.value).toEqual({ query: 1, keys: [3] });
  });

  it("tells a listener once a change, and not when nothing changed", () => {
    const store = opened(4);
    const heard: unknown[] = [];
    store.onSelect((change) => heard.push(change));
    store.select({ step: 2 });
    store.select({ step: 2 });
    store.toggleKey(1);
    store.toggleKey(1);
    expect(heard).toEqual([{ step: 2 }, { locked: [1] }, { locked: [] }]);
  });

  it("changes selection and picture in one go", () => {
    const store = opened(2);
    store.select({ step: 1 });
    const seen: number[] = [];
    const stop = effect(() => void seen.push(store.selection.value.step * 10 + store.slice.value.matrix.nQueries));
    store.merge(picture(3, [{ at: 2, rows: [peak(2)] }]));
    stop();
    expect(seen).toEqual([12, 23]);
  });
});

describe("what views read from it", () => {
  it("links are the strongest weights of the step", () => {
    const store = opened(4);
    store.select({ step: 2 });
    const links = chosenLinks(store);
    expect(links.at(-1)).toMatchObject({ query: 2, key: 2 });
    expect(links).toHaveLength(5);
  });

  it("links never number more than the limit", () => {
    const store = opened(1500);
    store.select({ step: 1499 });
    store.links.value = "all";
    expect(chosenLinks(store)).toHaveLength(MAX_LINKS);
  });

  it("hovering an input shows its links to the steps so far", () => {
    const store = opened(4);
    store.select({ step: 2 });
    store.focus.value = { query: null, key: 0 };
    expect(
      chosenLinks(store)
        .map((link) => link.query)
        .sort(),
    ).toEqual([0, 1, 2]);
  });

  it("bars call an input weak or strong by the reader's expectation", () => {
    const store = opened(4);
    store.select({ step: 3 });
    const verdicts = () => barsOf(store, axis(5, 500, 3, 100)).map((bar) => bar.verdict);
    expect(verdicts()).toEqual(["", "", "", "", "weak"]);
    store.select({ expectation: "none" });
    expect(verdicts()).toEqual(["", "", "", "", ""]);
  });

  it("the sentence speaks of the strongest input of the step", () => {
    const store = opened(4);
    store.select({ step: 1 });
    expect(sentenceOf(store)).toBe(
      "Step 2, “t1”: 60 % of the attention is on “cat”. The strongest other input is “the” with 10 %.",
    );
  });
});
