import { signal as state } from "@preact/signals-core";
import { afterEach, describe, expect, it, vi } from "vitest";
import { connect, type Model } from "../src/host.ts";
import type { Link } from "../src/kernel.ts";
import { createStore, type Store } from "../src/store.ts";
import type { PictureData } from "../src/wire.gen.ts";
import { crc32 } from "../src/crc.ts";
import { deflate, header, pack, peak, type Rows } from "./picture.ts";

/** A host's model: traits, listeners, and what was sent to the kernel. */
class FakeModel {
  sent: Record<string, unknown>[] = [];
  saved = 0;
  #listeners = new Map<string, Set<(...values: unknown[]) => void>>();
  constructor(private traits: Record<string, unknown>) {}
  get(name: string) {
    return this.traits[name];
  }
  set(name: string, value: unknown) {
    if (this.traits[name] === value) return;
    this.traits[name] = value;
    this.emit(`change:${name}`);
  }
  save_changes() {
    this.saved++;
  }
  send(content: Record<string, unknown>) {
    this.sent.push(content);
  }
  on(event: string, listener: (...values: unknown[]) => void) {
    this.#listeners.set(event, (this.#listeners.get(event) ?? new Set()).add(listener));
  }
  off(event: string, listener: (...values: unknown[]) => void) {
    this.#listeners.get(event)?.delete(listener);
  }
  emit(event: string, ...values: unknown[]) {
    for (const listener of this.#listeners.get(event) ?? []) listener(...values);
  }
  get nListeners() {
    return [...this.#listeners.values()].reduce((sum, set) => sum + set.size, 0);
  }
}

const settled = () => vi.waitFor(() => new Promise((resolve) => setTimeout(resolve)));
const message = (model: FakeModel, content: unknown, ...bytes: Uint8Array[]) =>
  model.emit(
    "msg:custom",
    content,
    bytes.map((b) => new DataView(b.buffer, b.byteOffset, b.byteLength)),
  );

let end = new AbortController();
afterEach(() => end.abort());

interface Opened {
  model: FakeModel;
  store: Store;
  link: Link;
}

async function started(data: PictureData = header(0), blocks: Rows[] = [], traits: object = {}): Promise<Opened> {
  end = new AbortController();
  const frame = await deflate(pack(data, blocks));
  const model = new FakeModel({
    frame,
    step: 0,
    site: 0,
    head: 0,
    locked: [],
    scale: "absolute",
    expectation: "one",
    selector: "",
    ...traits,
  });
  const store = createStore(state(false));
  const link = connect(model as unknown as Model, store, end.signal);
  return { model, store, link };
}

/** The same, once the frame is read. */
async function opened(...about: Parameters<typeof started>): Promise<Opened> {
  const page = await started(...about);
  await vi.waitFor(() => expect(page.store.outline.value.run).toBe("a"));
  return page;
}

const rows = (seq: number, run = "a") => ({ t: "rows", run, seq });
const part = (q: number, run = "a") =>
  pack(
    header(q + 1, {
      run,
      strips: [{ name: "target", n_tokens: q + 1, at: q, texts: [`t${q}`], scene: null }],
      steps_at: q,
      steps: [{ token: `t${q}`, candidates: [] }],
    }),
    [{ at: q, rows: [peak(q % 5)] }],
  );
const nRows = (store: Store) => store.slice.value.matrix.nQueries;

describe("the page", () => {
  it("draws the frame and tells the kernel that it is there", async () => {
    const { model, store } = await opened(header(2, { seq: 2 }), [{ rows: [peak(0), peak(1)] }]);
    expect(nRows(store)).toBe(2);
    expect(model.sent[0]).toEqual({ t: "ready", run: "a", seq: 2 });
  });

  it.each([
    [true, 2],
    [false, 0],
  ])("shows the last step in a view that is made late where the kernel follows it: %s", async (follows, step) => {
    const all = Array.from({ length: 3 }, (_, q) => peak(q));
    const { model, store } = await opened(header(3), [{ rows: all }], { follows });
    expect([store.selection.value.step, model.get("step")]).toEqual([step, step]);
  });

  it("notes for later views whether the last step is chosen", async () => {
    const { model, store } = await opened(header(3), [{ rows: [peak(0), peak(1), peak(2)] }], { follows: true });
    store.select({ step: 1 });
    expect(model.get("follows")).toBe(false);
    store.select({ step: 2 });
    expect(model.get("follows")).toBe(true);
  });

  it("takes rows as they come, and a second copy changes nothing", async () => {
    const { model, store } = await opened();
    for (const q of [0, 1, 1, 2]) message(model, rows(q), part(q));
    await vi.waitFor(() => expect(nRows(store)).toBe(3));
    expect(store.outline.value.steps.map((step) => step.token)).toEqual(["t0", "t1", "t2"]);
  });

  it("ends with the same picture in whatever order seven messages come", async () => {
    const { model, store } = await opened();
    const order = [3, 6, 0, 5, 1, 4, 2];
    for (const q of order) message(model, rows(q), part(q));
    await vi.waitFor(() => expect(nRows(store)).toBe(7));
    await settled();
    expect(Array.from({ length: 7 }, (_, q) => store.slice.value.matrix.precision[q])).toEqual(Array(7).fill(3));
    expect(store.outline.value.steps.map((step) => step.token)).toEqual(order.map((_, i) => `t${i}`));
  });

  it("asks again for what did not come", async () => {
    const { model } = await opened();
    message(model, rows(0), part(0));
    message(model, rows(2), part(2));
    await vi.waitFor(() => expect(model.sent).toContainEqual({ t: "need", run: "a", seqs: [1] }));
  });

  it("says what is missing when asking did not help", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const { model, store } = await opened();
      message(model, rows(2), part(2));
      message(model, { t: "end", run: "a", count: 3, digests: [] });
      await vi.waitFor(() => expect(model.sent.some((sent) => sent.t === "need")).toBe(true));
      await vi.advanceTimersByTimeAsync(60_000);
      expect(store.nMissing.value).toBe(2);
    } finally {
      vi.useRealTimers();
    }
  });

  it("does not draw a late row of another run", async () => {
    const { model, store } = await opened();
    message(model, rows(0, "old"), part(3, "old"));
    await settled();
    expect(nRows(store)).toBe(0);
  });

  it("asks how far the run has come when another one streams of which no frame came", async () => {
    const { model } = await opened();
    model.sent.length = 0;
    message(model, rows(0, "new"), part(0, "new"));
    message(model, rows(1, "new"), part(1, "new"));
    await settled();
    expect(model.sent).toEqual([{ t: "ready", run: "a", seq: 0 }]);
  });

  it("asks how far the run has come once the kernel rests, after news and while the end is open", async () => {
    const { model, link } = await opened(header(0, { status: "recording" }));
    const asked = async (busy: number) => {
      model.sent.length = 0;
      link.rested(busy);
      await settled();
      return model.sent;
    };
    expect(await asked(10)).toEqual([]);
    expect(await asked(1000)).toEqual([{ t: "ready", run: "a", seq: 0 }]);
    message(model, rows(0), part(0));
    await settled();
    expect(await asked(10)).toEqual([{ t: "ready", run: "a", seq: 1 }]);
    expect(await asked(10)).toEqual([]);
    const crc = crc32(Float32Array.from(peak(0)));
    message(model, { t: "end", run: "a", count: 1, digests: [{ site: 0, head: 0, crc }] });
    await settled();
    expect(await asked(1000)).toEqual([]); // which would ask again for ever: the answer is work, too
  });

  it("asks how far the run has come once its first picture is read, which says what run it is", async () => {
    const { model, link } = await started(header(0, { status: "recording" }));
    link.rested(1000);
    await vi.waitFor(() => expect(model.sent.length).toBeGreaterThan(1));
    expect(model.sent.map(({ run }) => run)).toEqual(["a", "a"]);
  });

  it("asks how far the run has come until an answer comes", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const { model } = await opened();
      const asked = () => model.sent.filter(({ t }) => t === "ready").length;
      await vi.advanceTimersByTimeAsync(2500);
      expect(asked()).toBe(3);
      message(model, { t: "blocks", run: "a" }, pack(header(0)));
      await vi.advanceTimersByTimeAsync(60_000);
      expect(asked()).toBe(3);
    } finally {
      vi.useRealTimers();
    }
  });

  it("asks for rows of which only an answer tells", async () => {
    const { model } = await opened();
    message(model, { t: "blocks", run: "a" }, pack(header(0, { seq: 2 })));
    await vi.waitFor(() => expect(model.sent).toContainEqual({ t: "need", run: "a", seqs: [0, 1] }));
  });

  it("asks for rows of which only a frame tells", async () => {
    const { model } = await opened();
    model.set("frame", await deflate(pack(header(1, { seq: 1 }), [{ rows: [peak(0)] }])));
    await vi.waitFor(() => expect(model.sent).toContainEqual({ t: "need", run: "a", seqs: [0] }));
  });

  it("takes an answer for a sign of life", async () => {
    const { model, store, link } = await opened(header(0, { status: "recording" }));
    store.lose("unknown");
    expect(link.isHeard()).toBe(false);
    message(model, { t: "blocks", run: "a" }, pack(header(0, { status: "recording" })));
    expect([link.isHeard(), store.lost.value]).toEqual([true, ""]);
  });

  it("verifies the digest at the end", async () => {
    const { model, store } = await opened();
    message(model, rows(0), part(0));
    const crc = crc32(Float32Array.from(peak(0)));
    message(model, { t: "end", run: "a", count: 1, digests: [{ site: 0, head: 0, crc }] });
    await vi.waitFor(() => expect(store.verified.value).toBe(`0:0:${crc}`));
  });

  it("verifies the digest once the rows that were lost have come", async () => {
    const { model, store } = await opened();
    message(model, rows(1), part(1));
    const crc = crc32(Float32Array.from([...peak(0), ...peak(1)]));
    message(model, { t: "end", run: "a", count: 2, digests: [{ site: 0, head: 0, crc }] });
    await vi.waitFor(() => expect(model.sent).toContainEqual({ t: "need", run: "a", seqs: [0] }));
    message(model, rows(0), part(0));
    await vi.waitFor(() => expect(store.verified.value).toBe(`0:0:${crc}`));
    expect(store.nMissing.value).toBe(0);
  });

  it("asks for rows that were lost although a frame tells of them", async () => {
    const { model, store } = await opened();
    message(model, { t: "rows", run: "a", seq: 0 }, pack(header(1), [{ rows: [peak(0)] }]));
    message(model, { t: "rows", run: "a", seq: 2 }, pack(header(3), [{ at: 2, rows: [peak(2)] }]));
    model.set("frame", await deflate(pack(header(3, { seq: 3 }), [{ rows: [peak(0), peak(1), peak(2)] }])));
    await vi.waitFor(() => expect(store.slice.value.matrix.precision).toEqual(new Uint8Array([3, 3, 3])));
    model.sent.length = 0;
    message(model, { t: "end", run: "a", count: 3, digests: [] });
    await vi.waitFor(() => expect(model.sent).toContainEqual({ t: "need", run: "a", seqs: [1] }));
  });

  it("fetches a head whose digest differs", async () => {
    const { model, store } = await opened();
    message(model, rows(0), part(0));
    message(model, { t: "end", run: "a", count: 1, digests: [{ site: 0, head: 0, crc: 1 }] });
    await vi.waitFor(() => expect(model.sent).toContainEqual({ t: "fetch", run: "a", site: 0, head: 0 }));
    expect(store.verified.value).toBe("");
  });

  it.each([
    null,
    7,
    "x",
    [],
    {},
    { t: "rows" },
    { t: "rows", run: "a", seq: -1 },
    { t: "rows", run: "a", seq: 1e15 },
    { t: "end", run: "a", count: 1e15, digests: [] },
    { t: "end", run: "a", count: 1, digests: 7 },
    { t: "??", run: "a" },
  ])("ignores %j", async (content) => {
    const { model, store } = await opened(header(1), [{ rows: [peak(0)] }]);
    message(model, content);
    await settled();
    expect(nRows(store)).toBe(1);
    expect(store.problem.value).toBe("");
  });

  it("leaves Object.prototype alone", async () => {
    const { model } = await opened();
    message(model, JSON.parse('{"__proto__":{"x":1},"t":"rows","run":"a","seq":0}'), part(0));
    await settled();
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  it("says so when a picture cannot be read, and goes on with the next", async () => {
    const { model, store } = await opened();
    message(model, rows(0), Uint8Array.from([9, 9, 9]));
    await vi.waitFor(() => expect(store.problem.value).not.toBe(""));
    message(model, rows(0), part(0));
    await vi.waitFor(() => expect(nRows(store)).toBe(1));
    expect(store.problem.value).toBe("");
  });

  it("tells the model what was chosen, and saves it", async () => {
    const { model, store } = await opened(header(3), [{ rows: [peak(0), peak(1), peak(2)] }]);
    store.select({ step: 1 });
    expect(model.get("step")).toBe(1);
    expect(model.saved).toBe(1);
  });

  it("tells nothing to a kernel that is gone, and goes on", async () => {
    const { model, store } = await opened(header(3), [{ rows: [peak(0), peak(1), peak(2)] }]);
    const before = [model.saved, model.sent.length];
    store.lose("restarted");
    store.select({ step: 1 });
    message(model, { t: "end", run: "a", count: 3, digests: [] });
    await settled();
    expect(store.selection.value.step).toBe(1);
    expect([model.saved, model.sent.length]).toEqual(before);
  });

  it("follows new rows without telling the kernel", async () => {
    const { model, store } = await opened(header(1), [{ rows: [peak(0)] }]);
    message(model, rows(0), part(1));
    await vi.waitFor(() => expect(store.selection.value.step).toBe(1));
    expect(model.get("step")).toBe(1);
    expect(model.saved).toBe(0);
  });

  it("follows the model", async () => {
    const { model, store } = await opened(header(3), [{ rows: [peak(0), peak(1), peak(2)] }]);
    model.set("step", 2);
    expect(store.selection.value.step).toBe(2);
    expect(model.saved).toBe(0);
  });

  it("does nothing after the view was closed, and leaves no listener", async () => {
    const { model, store } = await opened();
    end.abort();
    expect(model.nListeners).toBe(0);
    message(model, rows(0), part(0));
    await settled();
    expect(nRows(store)).toBe(0);
  });

  it("asks once for heads that somebody looks at, when all rows are there", async () => {
    const { model, store } = await opened(header(1), [{ rows: [peak(1)] }]);
    const asked = () => model.sent.filter(({ t }) => t === "heads");
    store.wanted.value = [0, 7];
    expect(asked()).toEqual([]);
    message(model, rows(0), pack(header(2, { status: "complete" }), [{ at: 1, rows: [peak(2)] }]));
    await settled();
    store.wanted.value = [];
    store.wanted.value = [0];
    expect(asked()).toEqual([{ t: "heads", run: "a", site: 0 }]);
  });
});
