/** What an exported page holds: text that stands for bytes, and bytes that are compressed. */

/** Text is written by `attnwidget/base124.py`, which explains it. */
const VALUES = new Uint8Array(128);
[...VALUES.keys()].filter((code) => ![0, 13, 26, 60].includes(code)).forEach((code, digit) => (VALUES[code] = digit));
const [GROUP, N_DIGITS] = [13, 15];
const TOGETHER = 124 ** 3;
const LIMB = 2 ** 26;

/** The bytes that a text stands for. */
export function bytesOf(text: string): Uint8Array {
  const digit = (i: number) => VALUES[text.charCodeAt(i)] ?? 0;
  const bytes = new Uint8Array(Math.floor(text.length / N_DIGITS) * GROUP);
  const view = new DataView(bytes.buffer);
  for (let i = 1, n = 0; i + N_DIGITS <= text.length; n += GROUP) {
    let [a, b, c, d] = [0, 0, 0, 0];
    for (const end = i + N_DIGITS; i < end; i += 3) {
      let carry = (digit(i) * 124 + digit(i + 1)) * 124 + digit(i + 2);
      const next = (limb: number) => {
        const value = limb * TOGETHER + carry;
        carry = Math.floor(value / LIMB);
        return value - carry * LIMB;
      };
      d = next(d);
      c = next(c);
      b = next(b);
      a = next(a);
    }
    view.setUint32(n, (a << 6) | (b >> 20));
    view.setUint32(n + 4, (b << 12) | (c >> 14));
    view.setUint32(n + 8, (c << 18) | (d >> 8));
    bytes[n + 12] = d;
  }
  return bytes.subarray(0, bytes.length - GROUP + digit(0));
}

/** Takes the bytes out of an element whose text stands for them. */
export function taken(element: Element): Uint8Array {
  const bytes = bytesOf(element.textContent);
  element.replaceChildren();
  return bytes;
}

/** Undoes the kernel's zlib. */
export async function inflate(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new DecompressionStream("deflate");
  const writer = stream.writable.getWriter();
  const written = writer.write(bytes as Uint8Array<ArrayBuffer>).then(() => writer.close());
  const [read] = await Promise.all([new Response(stream.readable).arrayBuffer(), written]);
  return new Uint8Array(read);
}
