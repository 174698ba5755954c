// @vitest-environment happy-dom
/** Each view draws the same picture of the same recording: its elements and what it did to a canvas, held by a file. */
import { signal } from "@preact/signals-core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import page from "../demo.html?raw";
import type { Selection } from "../src/selection.ts";
import { bytesOf, inflate } from "../src/packed.ts";
import { createStore, type Store } from "../src/store.ts";
import { controls } from "../src/views/controls.ts";
import { diagram } from "../src/views/diagram.ts";
import { flags } from "../src/views/flags.ts";
import { grid } from "../src/views/grid.ts";
import { heatmap } from "../src/views/heatmap.ts";
import { watchLayout } from "../src/views/layout.ts";
import { links } from "../src/views/links.ts";
import { panel } from "../src/views/panel.ts";
import { inputScene } from "../src/views/scene.ts";
import { strength } from "../src/views/strength.ts";
import { inputStrip, outputStrip } from "../src/views/strips.ts";
import { linesOf } from "../src/views/table.ts";
import type { View } from "../src/views/view.ts";
import { why } from "../src/views/why.ts";
import { readPicture } from "../src/wire.ts";

const EMBEDDED = [...page.matchAll(/data-selection="[^"]*">([^<]+)</g)].map((match) => match[1] ?? "");
const [WORDS = "", PICTURE = "", HEADS = ""] = EMBEDDED;

/** Every element is as large, in CSS pixels. */
const WIDTH = 720;
const HEIGHT = 300;

/** What was done to canvases, a line for each call, numbers to a hundredth. */
let done: string[] = [];
const told = (value: unknown): string =>
  typeof value === "number"
    ? String(Math.round(value * 100) / 100)
    : typeof value === "object"
      ? (value?.constructor.name ?? "null")
      : String(value);

function recorder(): CanvasRenderingContext2D {
  const set = new Map<string | symbol, unknown>();
  return new Proxy({} as CanvasRenderingContext2D, {
    get: (_, name) => {
      if (set.has(name)) return set.get(name);
      if (name === "measureText") return (text: string) => ({ width: text.length * 6 });
      return (...values: unknown[]) => void done.push(`${String(name)} ${values.map(told).join(" ")}`);
    },
    set: (_, name, value) => {
      set.set(name, value);
      done.push(`${String(name)} = ${told(value)}`);
      return true;
    },
  });
}

async function storeOf(embedded: string, selection: Partial<Selection> = {}): Promise<Store> {
  const store = createStore(signal(false));
  store.merge(readPicture(await inflate(bytesOf(embedded))));
  store.select({ step: 3, head: 0, ...selection });
  return store;
}

/** The elements and the canvas calls of a view, one a line; numbers of ids are those of this mount alone. */
function pictureOf(view: View, store: Store): string {
  const life = new AbortController();
  const host = document.createElement("section");
  document.body.append(host);
  view.mount(host, store, watchLayout(host, store, life.signal), life.signal);
  const elements = host.outerHTML.replace(/(attnwidget-[a-z]+-)\d+/g, "$1N").replace(/></g, ">\n<");
  life.abort();
  host.remove();
  const rounded = [elements, ...done].join("\n").replace(/-?\d+\.\d{3,}(e-?\d+)?/g, (number) => told(Number(number)));
  return `${rounded}\n`;
}

beforeEach(() => {
  done = [];
  vi.stubGlobal(
    "ImageData",
    class ImageData {
      data: Uint8ClampedArray;
      constructor(first: Uint8ClampedArray | number, width: number) {
        this.data = typeof first === "number" ? new Uint8ClampedArray(first * width * 4) : first;
      }
    },
  );
  vi.stubGlobal(
    "ResizeObserver",
    class {
      constructor(readonly tell: ResizeObserverCallback) {}
      observe() {
        this.tell([{ contentRect: { width: WIDTH } } as ResizeObserverEntry], this);
      }
      unobserve() {}
      disconnect() {}
    },
  );
  vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(WIDTH);
  vi.spyOn(HTMLElement.prototype, "clientHeight", "get").mockReturnValue(HEIGHT);
  vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockImplementation((() => recorder()) as never);
});
afterEach(() => vi.unstubAllGlobals());

const CASES: [name: string, view: View, embedded: string, selection?: Partial<Selection>][] = [
  ["controls", controls, HEADS],
  ["controls in Chinese", controls, HEADS, { language: "zh" }],
  ["diagram", diagram, WORDS],
  ["diagram of towers", diagram, HEADS, { site: 2 }],
  ["flags", flags, WORDS, { special: "omit", special_keys: [1], expected: [1], expectation: "own" }],
  ["input", inputStrip, WORDS],
  ["output", outputStrip, WORDS, { locked: [3] }],
  ["scene", inputScene, PICTURE],
  ["links", links, WORDS],
  ["heatmap", heatmap, WORDS, { locked: [2] }],
  ["heatmap turned", heatmap, WORDS, { rows: "key" }],
  ["strength", strength, WORDS],
  ["strength turned", strength, WORDS, { rows: "key", expectation: "own", expected: [1, 1, 1, 1, 0, 1] }],
  ["why additive", why, WORDS],
  ["why dot", why, HEADS, { site: 2 }],
  ["grid", grid, HEADS],
  ["panel", panel, WORDS],
];

describe("the picture of", () => {
  it.each(CASES)("%s", async (name, view, embedded, selection) => {
    const store = await storeOf(embedded, selection);
    store.explaining.value = true;
    await expect(pictureOf(view, store)).toMatchFileSnapshot(`pictures/${name.replaceAll(" ", "-")}.txt`);
  });

  it("a table has each input, its weight and its strength", async () => {
    const { lines, left } = linesOf(await storeOf(WORDS));
    expect(left).toBe(0);
    expect(lines.map(([name]) => name)).toEqual(
      ["four", "thousand", "eight", "hundred", "seventy", "seven"].map((word, i) => `${i + 1} ${word}`),
    );
    expect(lines.reduce((sum, [, weight]) => sum + Number(weight), 0)).toBeCloseTo(1, 4);
  });

  it("the same recording is the same, drawn twice", async () => {
    const store = await storeOf(WORDS);
    const first = pictureOf(heatmap, store);
    done = [];
    expect(pictureOf(heatmap, store)).toBe(first);
  });

  it("another step is another one", async () => {
    const store = await storeOf(WORDS);
    const first = pictureOf(heatmap, store);
    done = [];
    store.select({ step: 4 });
    expect(pictureOf(heatmap, store)).not.toBe(first);
  });
});
