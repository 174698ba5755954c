import { signal as state } from "@preact/signals-core";
import { describe, expect, it } from "vitest";
import { createStore } from "../src/store.ts";
import { facesOf, namesOf, nowOf } from "../src/views/diagram-faces.ts";
import { type Face, plan } from "../src/views/diagram-layout.ts";
import { chooseSite } from "../src/views/site-choice.ts";
import { readPicture } from "../src/wire.ts";
import type { ArchitectureData, EdgeData, NodeData } from "../src/wire.gen.ts";
import { header, pack, peak } from "./picture.ts";
import { en } from "../src/words/en.ts";

const measure = (text: string, fontPx: number) => text.length * fontPx * 0.55;

const node = (id: string, kind: NodeData["kind"], change: Partial<NodeData> = {}): NodeData => ({
  id,
  kind,
  label: "",
  detail: "",
  shape: "",
  parent: "",
  lane: 0,
  repeat: 1,
  sites: [],
  strip: "",
  ...change,
});
const edge = (source: string, target: string, kind: EdgeData["kind"] = "flow"): EdgeData => ({ source, target, kind });

const RECURRENT: ArchitectureData = {
  nodes: [
    node("in", "strip", { strip: "source" }),
    node("enc", "module", { label: "encoder", detail: "BiGRU 24 → 24" }),
    node("part", "part", { label: "embedding", parent: "enc" }),
    node("att", "attention", { sites: ["cross"] }),
    node("ctx", "context"),
    node("dec", "module", { label: "decoder", detail: "GRU cell 72 → 48" }),
    node("out", "strip", { strip: "target" }),
  ],
  edges: [
    edge("in", "enc"),
    edge("enc", "att", "keys"),
    edge("att", "ctx"),
    edge("ctx", "dec"),
    edge("dec", "out"),
    edge("dec", "att", "query"),
  ],
};
const TOWERS: ArchitectureData = {
  nodes: [
    node("in", "strip", { strip: "source" }),
    node("enc", "tower", { label: "encoder", repeat: 80, sites: ["e"] }),
    node("self", "attention", { parent: "enc", sites: ["e"] }),
    node("ff", "module", { label: "feed-forward", parent: "enc" }),
    node("so", "strip", { strip: "target", lane: 1 }),
    node("dec", "tower", { label: "decoder", repeat: 80, sites: ["d", "cross"], lane: 1 }),
    node("self2", "attention", { parent: "dec", sites: ["d"], lane: 1 }),
    node("att", "attention", { parent: "dec", sites: ["cross"], lane: 1 }),
    node("ff2", "module", { label: "feed-forward", parent: "dec", lane: 1 }),
    node("out", "strip", { strip: "target", lane: 1 }),
  ],
  edges: [
    edge("in", "enc"),
    edge("so", "dec"),
    edge("dec", "out"),
    edge("self2", "att"),
    edge("att", "ff2"),
    edge("enc", "att", "keys"),
  ],
};

const opened = (architecture: ArchitectureData, asks: "" | "before" | "after" = "") => {
  const store = createStore(state(false));
  const sites = header(4).sites.map((site) => ({ ...site, asks }));
  const names = architecture.nodes.some((it) => it.sites.includes("e")) ? ["e", "d"] : [];
  const others = names.map((name) => ({
    ...header(4).sites[0],
    name,
    kind: name === "e" ? ("encoder" as const) : ("decoder" as const),
    n_heads: 2,
    query: name === "e" ? "source" : "target",
    key: name === "e" ? "source" : "target",
  }));
  const rows = { rows: [0, 1, 2, 3].map((q) => peak(q)) };
  const picture = header(4, { architecture, sites: [...sites, ...others] as typeof sites });
  store.merge(readPicture(pack(picture, [rows])));
  return store;
};
const faces = (architecture: ArchitectureData): Face[] => {
  return facesOf(opened(architecture).outline.value, en);
};
const planned = (architecture: ArchitectureData, width: number) =>
  plan(faces(architecture), architecture.edges, width, measure);

describe("the plan of a diagram", () => {
  it.each([RECURRENT, TOWERS])("fits the widths that a page has, and no box lies on another", (architecture) => {
    for (const width of [640, 770, 840, 1100]) {
      const { boxes, width: whole } = planned(architecture, width);
      expect(whole).toBe(width);
      for (const box of boxes) {
        expect(box.x).toBeGreaterThanOrEqual(0);
        expect(box.x + box.width).toBeLessThanOrEqual(width);
      }
      const tops = boxes.filter((box) => !box.parent);
      for (const group of [tops, ...tops.map((top) => boxes.filter((box) => box.parent === top.id))])
        for (const [i, a] of group.entries())
          for (const b of group.slice(i + 1))
            expect(a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y).toBe(
              true,
            );
    }
  });

  it("keeps what is inside a tower inside it", () => {
    for (const width of [300, 840]) {
      const { boxes } = planned(TOWERS, width);
      const by = new Map(boxes.map((box) => [box.id, box]));
      for (const box of boxes) {
        const around = by.get(box.parent);
        if (!around) continue;
        expect([box.x >= around.x, box.x + box.width <= around.x + around.width]).toEqual([true, true]);
        expect([box.y >= around.y, box.y + box.height <= around.y + around.height]).toEqual([true, true]);
      }
    }
  });

  it("is wider than a page that is too narrow for it, rather than cut", () => {
    expect(planned(RECURRENT, 200).width).toBeGreaterThan(200);
  });

  it("puts a row below the one before", () => {
    const { boxes } = planned(TOWERS, 840);
    const [upper, lower] = [0, 1].map((lane) => boxes.filter((box) => box.lane === lane));
    expect(Math.max(...(upper ?? []).map((box) => box.y + box.height))).toBeLessThan(
      Math.min(...(lower ?? []).map((box) => box.y)),
    );
  });

  it("puts what asks below what it asks", () => {
    const asks: ArchitectureData = {
      nodes: RECURRENT.nodes.map((it) => (it.id === "dec" ? { ...it, lane: 1 } : it)),
      edges: RECURRENT.edges,
    };
    const by = new Map(planned(asks, 840).boxes.map((box) => [box.id, box]));
    const centre = (id: string) => (by.get(id)?.x ?? 0) + (by.get(id)?.width ?? 0) / 2;
    expect(centre("dec")).toBeCloseTo(centre("att"));
  });

  it("draws what contradicts itself without failing", () => {
    const odd = [
      node("a", "module", { parent: "b" }),
      node("b", "tower", { parent: "a" }),
      node("c", "tower", { parent: "c", lane: 7 }),
      node("<b>", "strip", { strip: "__proto__" }),
    ];
    const { boxes, lines } = planned({ nodes: odd, edges: [edge("a", "nowhere"), edge("a", "a", "query")] }, 640);
    expect(boxes).toHaveLength(4);
    expect(lines).toHaveLength(1);
  });

  it("of nothing is empty", () => {
    expect(plan([], [], 640, measure)).toEqual({ width: 640, height: 0, boxes: [], lines: [] });
  });

  it("is the same picture as before", () => {
    const { boxes, lines } = planned(RECURRENT, 840);
    expect(boxes.map(({ id, x, y, width, height }) => `${id} ${Math.round(x)},${y} ${width}x${height}`))
      .toMatchInlineSnapshot(`
      [
        "in 1,1 67x42",
        "enc 135,1 110x42",
        "att 312,1 80x42",
        "ctx 458,1 67x42",
        "dec 592,1 113x42",
        "out 772,1 67x42",
      ]
    `);
    expect(lines.map(({ source, target, d }) => `${source}-${target} ${d.replace(/\.\d+/g, "")}`))
      .toMatchInlineSnapshot(`
      [
        "in-enc M68 22L134 22",
        "enc-att M244 22L311 22",
        "att-ctx M391 22L458 22",
        "ctx-dec M525 22L592 22",
        "dec-out M705 22L772 22",
        "dec-att M648 43C648 75 351 75 351 48",
      ]
    `);
  });
});

describe("what the blocks say", () => {
  const title = (architecture: ArchitectureData, id: string) => faces(architecture).find((it) => it.id === id)?.title;

  it("names strips, attentions and towers", () => {
    expect(["in", "out", "att", "ctx"].map((id) => title(RECURRENT, id))).toEqual([
      "input",
      "output",
      "attention",
      "context",
    ]);
    expect(["enc", "self", "so", "att", "out"].map((id) => title(TOWERS, id))).toEqual([
      "encoder × 80",
      "self-attention",
      "output so far",
      "cross-attention",
      "output",
    ]);
  });

  it("lists parts instead of drawing them", () => {
    expect(faces(RECURRENT).map((it) => it.id)).not.toContain("part");
    expect(
      faces(RECURRENT)
        .filter((it) => it.opens)
        .map((it) => it.id),
    ).toEqual(["enc"]);
  });

  it("shows hidden characters of names", () => {
    const hostile = { nodes: [node("x", "module", { label: "a\u202eb" })], edges: [] };
    expect(title(hostile, "x")).toBe("a⟨202E⟩b");
  });

  it.each(["before", "after"] as const)("tells that the query is the state %s the step", (asks) => {
    const store = opened(RECURRENT, asks);
    const now = nowOf(RECURRENT, store.slice.value.site, store);
    expect(now.asks(edge("dec", "att", "query"))).toBe(asks);
  });
});

describe("what is lit", () => {
  it("is the way from the keys through the attention to the decoder", () => {
    const store = opened(RECURRENT);
    const { lit, lines } = nowOf(RECURRENT, store.slice.value.site, store);
    expect([...lit].sort()).toEqual(["att", "ctx", "dec", "in", "out"]);
    expect([...lines].sort()).toEqual(["att-ctx", "ctx-dec", "dec-att", "enc-att"]);
  });

  it("is the attention of the selected site and the tower around it", () => {
    const store = opened(TOWERS);
    chooseSite(store, 1);
    const { lit, lines } = nowOf(TOWERS, store.slice.value.site, store);
    expect([...lit].sort()).toEqual(["enc", "in", "self"]);
    expect([...lines]).toEqual(["in-enc"]);
  });

  it("names the strips of a block that is hovered", () => {
    const { sites } = opened(RECURRENT).outline.value;
    expect(RECURRENT.nodes.map((it) => namesOf(it, sites).join("+"))).toEqual([
      "source",
      "",
      "",
      "source+target",
      "",
      "",
      "target",
    ]);
  });

  it("follows the step", () => {
    const store = opened(RECURRENT);
    store.select({ step: 2 });
    const { texts } = nowOf(RECURRENT, store.slice.value.site, store);
    expect([texts.get("ctx")?.detail, texts.get("out")?.detail]).toEqual(["c(3)", "“t2”"]);
  });
});

describe("choosing a site", () => {
  it("keeps the head where the site has it", () => {
    const store = opened(TOWERS);
    chooseSite(store, 1, 1);
    expect(store.selection.value).toMatchObject({ site: 1, head: 1 });
    chooseSite(store, 2);
    expect(store.selection.value).toMatchObject({ site: 2, head: 1 });
    chooseSite(store, 0);
    expect(store.selection.value.head).toBe(-1);
  });

  it("keeps the diagram when a picture comes without one", () => {
    const store = opened(RECURRENT);
    store.merge(readPicture(pack(header(5))));
    expect(store.outline.value.architecture.nodes).toHaveLength(7);
  });
});
