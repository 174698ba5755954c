/** The key to the colours: the ramp from 0 to 1, or to each row's maximum. */
import { html, setText } from "../dom.ts";
import type { Store } from "../store.ts";
import { colour, css } from "../theme.ts";
import { short } from "../text.ts";

const STOPS = 24;

export function colourBar(host: HTMLElement, store: Store, signal: AbortSignal): void {
  const ramp = html("div", "colour-bar-ramp");
  const labels = ["", "", ""].map(() => html("span", "colour-bar-label"));
  const bar = html("div", "colour-bar", { role: "img" }, ramp, html("div", "colour-bar-labels", {}, ...labels));
  host.append(bar);
  store.draw(signal, () => {
    const scale = store.scale.value;
    const stops = Array.from({ length: STOPS }, (_, i) => css(colour(1 - i / (STOPS - 1), store.dark.value)));
    ramp.style.backgroundImage = `linear-gradient(${stops.join(", ")})`;
    const texts = scale === "absolute" ? ["1", "0.5", "0"] : ["max", "½ max", short(0)];
    for (const [i, label] of labels.entries()) setText(label, texts[i] ?? "");
    bar.setAttribute("aria-label", `${store.words.scale}: ${store.words.scaleChoices[scale]}`);
  });
}
