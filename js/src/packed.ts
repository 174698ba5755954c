/** What an exported page holds: text that stands for bytes, seven bits a character, and bytes that are compressed. */

/** As `attnwidget/septets.py` names and explains them. */
const FORBIDDEN = [0, 13, 26, 60];
const PAIRS = 0x80;
const LAST = 0x280;

/** The bytes that a text stands for. */
export function bytesOf(text: string): Uint8Array {
  const bytes = new Uint8Array(2 * text.length);
  let [held, nBits, n] = [0, 0, 0];
  let next = -1; // the second group of a character that stands for two
  for (let i = 0; i < text.length; ) {
    const code = text.charCodeAt(i);
    let group = code;
    if (next >= 0) group = next;
    else if (code >= PAIRS) group = FORBIDDEN[code < LAST ? (code - PAIRS) >> 7 : code - LAST] ?? 0;
    next = next < 0 && code >= PAIRS && code < LAST ? code & 127 : -1;
    if (next < 0) i++;
    held = ((held << 7) | group) & 0x7fff;
    nBits += 7;
    if (nBits >= 8) bytes[n++] = held >> (nBits -= 8);
  }
  return bytes.slice(0, n);
}

/** Undoes the kernel's zlib. */
export async function inflate(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
