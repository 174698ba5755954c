/** Light or dark, followed live, and the one colour ramp that carries weights. */
import { signal as state, type ReadonlySignal } from "@preact/signals-core";

export type Rgb = [number, number, number];

/** Stops of the ramp from weight 0 to 1: one hue, lightness strictly monotonic. */
const STOPS: Record<"light" | "dark", Rgb[]> = {
  light: [
    [250, 250, 253],
    [205, 213, 238],
    [128, 143, 201],
    [68, 80, 142],
    [20, 30, 88],
  ],
  dark: [
    [26, 29, 38],
    [50, 61, 94],
    [86, 110, 178],
    [127, 160, 226],
    [186, 210, 255],
  ],
};

/** 256 colours, as one flat array of red, green, blue. */
export function ramp(dark: boolean): Uint8Array {
  const stops = STOPS[dark ? "dark" : "light"];
  const direction = dark ? 1 : -1;
  const colours = new Uint8Array(256 * 3);
  let last = direction * Number.NEGATIVE_INFINITY;
  for (let i = 0; i < 256; i++) {
    const x = (i / 255) * (stops.length - 1);
    const low = stops[Math.floor(x)] ?? [0, 0, 0];
    const high = stops[Math.ceil(x)] ?? low;
    const mix = (c: 0 | 1 | 2) => Math.round(low[c] + (high[c] - low[c]) * (x - Math.floor(x)));
    const rgb: Rgb = [mix(0), mix(1), mix(2)];
    while (direction * (luminance(rgb) - last) <= 0) rgb[1] += direction; // rounding must not make two steps equal
    last = luminance(rgb);
    colours.set(rgb, i * 3);
  }
  return colours;
}

const RAMPS = { light: ramp(false), dark: ramp(true) };

/** The colour of a weight between 0 and 1; outside it is clamped, NaN is 0. */
export function colour(weight: number, dark: boolean): Rgb {
  const colours = RAMPS[dark ? "dark" : "light"];
  const i = 3 * Math.round(255 * Math.max(0, Math.min(1, weight || 0)));
  return [colours[i] ?? 0, colours[i + 1] ?? 0, colours[i + 2] ?? 0];
}

export const css = ([r, g, b]: Rgb): string => `rgb(${r}, ${g}, ${b})`;

/** Relative luminance, 0 to 1 (WCAG 2.2). */
export function luminance(rgb: Rgb): number {
  const [r, g, b] = rgb.map((c) => (c <= 10 ? c / 3294.6 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * (r ?? 0) + 0.7152 * (g ?? 0) + 0.0722 * (b ?? 0);
}

/** Black or white, whichever reads better on a colour. */
export const ink = (rgb: Rgb): string => (luminance(rgb) > 0.179 ? "#000000" : "#ffffff");

type Ink = "accent" | "fg" | "soft" | "line" | "mark";
let inks = new WeakMap<Element, Map<string, string>>();

/** A colour of the theme where an element stands; asked once for each theme, because to ask costs a layout. */
export function inkOf(node: Element, dark: boolean, name: Ink): string {
  const known = inks.get(node) ?? new Map<string, string>();
  inks.set(node, known);
  const key = `${name} ${String(dark)}`;
  const found = known.get(key);
  if (found !== undefined) return found;
  const styles = getComputedStyle(node);
  const ink = styles.getPropertyValue(`--attnwidget-${name}`).trim() || styles.color;
  if (ink) known.set(key, ink); // outside a page there is none
  return ink;
}

/** Tells whether the page around is dark, now and whenever it changes. */
export function watchTheme(signal: AbortSignal): ReadonlySignal<boolean> {
  const media = matchMedia("(prefers-color-scheme: dark)");
  const dark = state(isDark(media.matches));
  const update = () => {
    inks = new WeakMap();
    dark.value = isDark(media.matches);
  };
  const observer = new MutationObserver(update);
  for (const node of [document.documentElement, document.body])
    observer.observe(node, {
      attributes: true,
      attributeFilter: ["class", "style", "data-theme", "data-jp-theme-light"],
    });
  media.addEventListener("change", update, { signal });
  signal.addEventListener("abort", () => observer.disconnect(), { once: true });
  return dark;
}

function isDark(preferred: boolean): boolean {
  const { body, documentElement: html } = document;
  const jupyter = body.dataset.jpThemeLight;
  if (jupyter) return jupyter === "false";
  const said = `${html.className} ${body.className} ${html.dataset.theme ?? ""} ${body.dataset.theme ?? ""}`;
  if (/(^|[\s-])dark(\s|$)/.test(said)) return true;
  if (/(^|[\s-])light(\s|$)/.test(said)) return false;
  return preferred;
}
