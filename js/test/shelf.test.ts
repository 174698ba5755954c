// @vitest-environment happy-dom
/** What lies in an exported page is read when it is wanted, and what is read is not kept as text. */
import { signal as state } from "@preact/signals-core";
import { afterEach, describe, expect, it, vi } from "vitest";
import { bytesOf, inflate, taken } from "../src/packed.ts";
import { createShelf } from "../src/shelf.ts";
import { createStore } from "../src/store.ts";
import { AHEAD_WEIGHTS } from "../src/wire.gen.ts";
import { readPicture } from "../src/wire.ts";
import { deflate, header, pack, peak } from "./picture.ts";

const ALPHABET = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code)).filter(
  (character) => !"\0\r\x1a<".includes(character),
);

/** As the docstring of `attnwidget/base124.py` says. */
function textOf(bytes: Uint8Array): string {
  let text = bytes.length ? (ALPHABET[((bytes.length - 1) % 13) + 1] ?? "") : "";
  for (let at = 0; at < bytes.length; at += 13) {
    let number = 0n;
    for (let i = at; i < at + 13; i++) number = number * 256n + BigInt(bytes[i] ?? 0);
    let digits = "";
    for (let i = 0; i < 15; i++, number /= 124n) digits = (ALPHABET[Number(number % 124n)] ?? "") + digits;
    text += digits;
  }
  return text;
}

const sites = header(2).sites.flatMap((site) => [
  { ...site, n_heads: 3 },
  { ...site, name: "large", n_heads: 9, n_queries: AHEAD_WEIGHTS / 5 },
]);
const picture = (heads: number[]) =>
  pack(
    header(2, { sites }),
    heads.map((head) => ({ head, rows: [peak(head), peak(head)] })),
  );

async function element(heads: number[], attributes: Record<string, string>): Promise<HTMLElement> {
  const made = document.createElement("script");
  for (const [name, value] of Object.entries({ type: "text/plain", ...attributes })) made.setAttribute(name, value);
  const packed = await deflate(picture(heads));
  made.textContent = textOf(new Uint8Array(packed.buffer, packed.byteOffset, packed.byteLength));
  return made;
}

/** A page whose first picture holds head 0, and others one head each; a large one names heads of millions of weights. */
async function opened(isLarge = false) {
  const main = document.createElement("main");
  const first = await element([0], { "data-selection": "{}" });
  const others = await Promise.all([1, 2].map((head) => element([head], { "data-heads": `0:${head}` })));
  const last = document.createElement("script");
  if (isLarge) last.setAttribute("data-heads", "1:7 1:8");
  document.body.replaceChildren(main, first, ...others, last);
  const store = createStore(state(false));
  store.merge(readPicture(await inflate(taken(first))));
  store.select({ head: 0 });
  const life = new AbortController();
  createShelf(first, store, life.signal);
  return { store, life, others };
}

let life = new AbortController();
afterEach(() => life.abort());

describe("text of a page", () => {
  it("gives back the bytes that it stands for", () => {
    for (let n = 0; n < 40; n++) {
      const bytes = Uint8Array.from({ length: n }, (_, i) => (i * 157 + n * 31) % 256);
      expect(bytesOf(textOf(bytes))).toEqual(bytes);
      expect(bytesOf(textOf(bytes.fill(255)))).toEqual(bytes);
    }
  });

  it("that was damaged is refused", async () => {
    await expect(inflate(bytesOf(textOf(Uint8Array.from([1, 2, 3]))))).rejects.toThrow();
  });
});

describe("the pictures of a page", () => {
  it("are all read where they are few, and let go of", async () => {
    const page = await opened();
    life = page.life;
    await vi.waitFor(() => expect(page.store.matrix(0, 2)?.values[2]).toBeCloseTo(0.6));
    expect(page.store.matrix(0, 1)?.values[1]).toBeCloseTo(0.6);
    expect(page.others.map((other) => [other.isConnected, other.textContent])).toEqual(Array(2).fill([false, ""]));
  });

  it("wait where they are many, but for those beside what is looked at", async () => {
    const page = await opened(true);
    life = page.life;
    await vi.waitFor(() => expect(page.others[0]?.isConnected).toBe(false));
    expect([page.store.matrix(0, 1), page.others[1]?.isConnected]).toEqual([null, true]);
  });

  it("are there at once where they were made ready", async () => {
    const page = await opened(true);
    life = page.life;
    await vi.waitFor(() => expect(page.others[0]?.isConnected).toBe(false));
    await new Promise((done) => setTimeout(done, 50));
    page.store.select({ head: 1 });
    expect(page.store.matrix(0, 1)?.values[1]).toBeCloseTo(0.6);
  });

  it("come when somebody looks at them", async () => {
    const page = await opened(true);
    life = page.life;
    page.store.select({ head: 2 });
    await vi.waitFor(() => expect(page.store.matrix(0, 2)?.values[2]).toBeCloseTo(0.6));
  });

  it("come for the mean of all heads", async () => {
    const page = await opened(true);
    life = page.life;
    page.store.select({ head: -1 });
    await vi.waitFor(() => expect(page.store.matrix(0, -1)?.values[0]).toBeCloseTo((0.6 + 0.1 + 0.1) / 3));
  });

  it("that cannot be read say so", async () => {
    const page = await opened(true);
    life = page.life;
    for (const other of page.others) other.textContent = "\x02!!!!!!!!!!!!!!!";
    page.store.select({ head: 2 });
    await vi.waitFor(() => expect(page.store.problem.value).not.toBe(""));
  });
});
