/** How wide texts are, for drawings in which nothing flows by itself. */

/** Returns how wide a text of this size is, in CSS pixels. */
export type Measure = (text: string, fontPx: number) => number;

/** Texts whose widths are kept. */
const MOST_WIDTHS = 2000;

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
