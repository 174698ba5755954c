/** How wide texts are, for drawings in which nothing flows by itself. */

/** Returns how wide a text of this size is, in CSS pixels. */
export type Measure = (text: string, fontPx: number) => number;

/** Texts whose widths are kept. */
const MOST_WIDTHS = 2000;

/** A text that ends in … where there is no room for it. */
export function cut(text: string, room: number, fontPx: number, measure: Measure): string {
  if (measure(text, fontPx) <= room) return text;
  const characters = [...text];
  let n = characters.length;
  while (n > 1 && measure(`${characters.slice(0, n).join("").trimEnd()}…`, fontPx) > room) n--;
  return `${characters.slice(0, n).join("").trimEnd()}…`;
}

/** Widths of texts in the font of an element, each measured once. */
export function measureIn(host: HTMLElement): Measure {
  const canvas = document.createElement("canvas").getContext("2d");
  const widths = new Map<string, number>();
  let font = "";
  return (text, fontPx) => {
    const name = `${fontPx} ${text}`;
    const known = widths.get(name);
    if (known !== undefined || !canvas) return known ?? text.length * fontPx * 0.6;
    font ||= getComputedStyle(host).fontFamily; // once, because to ask costs a layout
    canvas.font = `${fontPx}px ${font || "sans-serif"}`;
    const { width } = canvas.measureText(text);
    if (widths.size > MOST_WIDTHS) widths.clear();
    widths.set(name, width);
    return width;
  };
}
