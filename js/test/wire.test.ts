import { describe, expect, it } from "vitest";
import { crc32 } from "../src/crc.ts";
import { PictureError, Precision } from "../src/blocks.ts";
import { inflate } from "../src/packed.ts";
import { readPicture, toBytes } from "../src/wire.ts";
import { deflate, header, pack, packRaw, peak } from "./picture.ts";

const block = (change: object) => ({
  site: 0,
  head: 0,
  queries: [0, 2, 1],
  keys: [0, 3, 1],
  whole: true,
  sampled: false,
  dtype: "f4",
  offset: 0,
  n_bytes: 24,
  n_odd: 0,
  levels: 0,
  ...change,
});

describe("a picture", () => {
  it("gives back the weights that were packed", () => {
    const picture = readPicture(pack(header(2), [{ rows: [peak(1), peak(3)] }]));
    expect([...(picture.blocks[0]?.values() ?? [])]).toEqual([...Float32Array.from([...peak(1), ...peak(3)])]);
    expect(picture.blocks[0]?.precision).toBe(Precision.Exact);
  });

  it("keeps tokens that UTF-8 cannot hold", () => {
    const data = header(0, {
      strips: [{ name: "source", n_tokens: 3, at: 0, texts: ["\ud800", "🎉", "</script>"], scene: null }],
    });
    expect(readPicture(pack(data)).strips[0]?.texts).toEqual(["\ud800", "🎉", "</script>"]);
  });

  it("is read from an odd offset in a larger buffer", () => {
    const bytes = pack(header(1), [{ rows: [peak(2)] }]);
    const shifted = new Uint8Array(bytes.byteLength + 3);
    shifted.set(bytes, 3);
    expect(readPicture(shifted.subarray(3)).blocks[0]?.values()[2]).toBeCloseTo(0.6);
  });

  it("of dtype u1 is off by at most 1/510 of the row's range, and keeps what is not finite", () => {
    const range = new Uint8Array(Float32Array.from([0, -1, 1, 3]).buffer);
    const odd = new Uint8Array(Uint32Array.from([4, 0]).buffer);
    const levels = Uint8Array.from([0, 128, 255, 0, 64, 255]);
    const described = block({ dtype: "u1", n_bytes: 24, n_odd: 1, levels: 24 });
    const picture = readPicture(packRaw({ ...header(2), blocks: [described] }, [range, odd, levels]));
    const values = picture.blocks[0]?.values() ?? new Float32Array(0);
    expect([...values].map((v) => Math.round(v * 1000) / 1000)).toEqual([0, 0.502, 1, -1, Number.NaN, 3]);
    expect(picture.blocks[0]?.precision).toBe(Precision.Rounded);
  });

  it("of dtype f2 reads half precision", () => {
    const halves = new Uint8Array(Uint16Array.from([0x3c00, 0x3800, 0x0000, 0xbc00, 0x7e00, 0x0400]).buffer);
    const picture = readPicture(packRaw({ ...header(2), blocks: [block({ dtype: "f2", n_bytes: 12 })] }, [halves]));
    expect([...(picture.blocks[0]?.values() ?? [])]).toEqual([1, 0.5, 0, -1, Number.NaN, 2 ** -14]);
  });

  it("of cells says of which, and keeps one value for each", () => {
    const maxima = new Uint8Array(Float32Array.from([0.5, 0.25]).buffer);
    const cells = block({ queries: [0, 2, 2], keys: [0, 3, 2], whole: false, n_bytes: 8 });
    const [found] = readPicture(packRaw({ ...header(2), blocks: [cells] }, [maxima])).blocks;
    expect([...(found?.values() ?? [])]).toEqual([0.5, 0.25]);
    expect(found).toMatchObject({ keys: { first: 0, end: 3, per: 2 }, precision: Precision.Pooled });
  });

  it("has sums of as many keys as their site", () => {
    const sums = { site: 0, head: 0, n_steps: 2, offset: 0 };
    const numbers = new Uint8Array(Float32Array.from([1, 2, 3, 4, 5]).buffer);
    expect([...(readPicture(packRaw({ ...header(2), sums: [sums] }, [numbers])).sums[0]?.values ?? [])]).toEqual([
      1, 2, 3, 4, 5,
    ]);
    expect(() => readPicture(packRaw({ ...header(2), sums: [{ ...sums, offset: 4 }] }, [numbers]))).toThrow(
      PictureError,
    );
  });

  it.each([
    ["too few bytes", block({ n_bytes: 20 })],
    ["an end past the buffer", block({ offset: 4 })],
    ["a negative offset", block({ offset: -4 })],
    ["levels past the buffer", block({ dtype: "u1", n_bytes: 16, levels: 20 })],
    ["negative levels", block({ dtype: "u1", n_bytes: 16, levels: -4 })],
    ["a huge shape", block({ queries: [0, 2147483648, 1], keys: [0, 2147483648, 1] })],
    ["a shape that is no number", block({ queries: [0, "2", 1] })],
    ["an unknown dtype", block({ dtype: ">f4" })],
    ["cells of 0", block({ keys: [0, 3, 0] })],
    ["a span that ends before it begins", block({ queries: [2, 0, 1] })],
  ])("with %s is refused with a sentence", (_, described) => {
    expect(() => readPicture(packRaw({ ...header(2), blocks: [described] }, [new Uint8Array(24)]))).toThrow(
      PictureError,
    );
  });

  it("of another protocol says what to do", () => {
    expect(() => readPicture(pack(header(1, { protocol: 99 })))).toThrow(/version 99 .* Restart the kernel/);
  });

  it("that is cut short is refused", () => {
    const bytes = pack(header(1), [{ rows: [peak(1)] }]);
    for (const length of [0, 3, 4, 40]) expect(() => readPicture(bytes.subarray(0, length))).toThrow(PictureError);
  });
});

describe("bytes", () => {
  it("come back from zlib", async () => {
    const bytes = pack(header(3));
    expect(await inflate(toBytes(await deflate(bytes)))).toEqual(bytes);
  });

  it("are read from whatever a host hands over", () => {
    const bytes = Uint8Array.from([1, 2, 3]);
    for (const value of [bytes, bytes.buffer, new DataView(bytes.buffer), "AQID"])
      expect(toBytes(value)).toEqual(bytes);
    expect(() => toBytes(null)).toThrow(PictureError);
  });

  it("have zlib's CRC-32", () => {
    expect(crc32(new Float32Array(0))).toBe(0);
    expect(crc32(Float32Array.from([1, 2]))).toBe(0x2e3fa576);
  });
});
