/** The input and the output as strips of tokens. */
import { cellAt, cellOf, pooled, tokensOf } from "../scales.ts";
import { html, set, setCount, setStyle, setText } from "../dom.ts";
import type { Store } from "../store.ts";
import { colour, css, ink } from "../theme.ts";
import { exact, fits, shown } from "../text.ts";
import { inputOf, outputOf, readByKeys, type Strip } from "./strip.ts";
import type { View } from "./view.ts";

/** Cells narrower than this show their shade only, unless the text is as short as they are; in CSS pixels. */
const TEXT_PX = 24;
const EDGES_PX = 10;
/** Cells narrower than this have smaller text. */
const SMALL_PX = 76;
/** Cells narrower than this have no border. */
const NARROW_PX = 8;
let nStrips = 0;

export const inputStrip: View = {
  name: "input",
  mount: (host, store, layout, signal) => mountStrip(host, store, signal, inputOf(store, layout)),
};

export const outputStrip: View = {
  name: "output",
  mount: (host, store, layout, signal) => mountStrip(host, store, signal, outputOf(store, layout)),
};

function mountStrip(host: HTMLElement, store: Store, signal: AbortSignal, strip: Strip): void {
  const label = html("span", "strip-label");
  const list = html("div", "strip-tokens", { role: "listbox", tabindex: 0, "aria-orientation": "horizontal" });
  const id = `attnwidget-strip-${nStrips++}`;
  host.append(label, list);

  const tokenAt = (event: PointerEvent | MouseEvent) => {
    const cell = cellAt(strip.axis(), event.clientX - list.getBoundingClientRect().left);
    return cell < 0 ? null : tokensOf(strip.axis(), cell)[0];
  };
  list.addEventListener("pointermove", (event) => strip.hover(tokenAt(event)), { signal });
  list.addEventListener("pointerleave", () => strip.hover(null), { signal });
  list.addEventListener("blur", () => strip.hover(null), { signal });
  list.addEventListener(
    "click",
    (event) => {
      const token = tokenAt(event);
      if (token !== null) strip.choose(token);
    },
    { signal },
  );
  readByKeys(list, store, strip, signal, () => 0);

  store.draw(signal, () => {
    host.toggleAttribute("hidden", strip.scene() !== null);
    const axis = strip.axis();
    const texts = strip.texts();
    const shades = strip.shades();
    const cells = shades && pooled(axis, shades);
    const top = shades ? store.rowTop(shades) : 1;
    const gazed = cellOf(axis, strip.gazed());
    const locked = new Set(strip.locked().map((token) => cellOf(axis, token)));
    setText(label, strip.label());
    set(list, {
      "aria-label": strip.label(),
      "aria-activedescendant": gazed >= 0 ? `${id}-${gazed}` : "",
      "data-small": axis.size < SMALL_PX,
    });
    set(host, { "data-lit": store.spot.value.includes(strip.name() ?? "") });
    setStyle(list, { width: `${axis.nCells * axis.size}px` });
    const nodes = setCount(list, texts.length ? axis.nCells : 0, (i) =>
      html("div", "token", { role: "option", id: `${id}-${i}` }),
    );
    for (const [cell, node] of nodes.entries()) {
      const [from, to] = tokensOf(axis, cell);
      const weight = cells?.[cell] ?? Number.NaN;
      const rgb = colour(weight / top, store.dark.value);
      const text =
        to - from > 1 ? `${shown(texts[from] ?? "")} … ${shown(texts[to - 1] ?? "")}` : shown(texts[from] ?? "");
      const isGhost = strip.ghost(from);
      const isShaded = cells !== null && !isGhost;
      const isWritten = axis.size >= TEXT_PX || fits(text, axis.size - EDGES_PX);
      setText(node, isWritten ? text : "");
      setStyle(node, {
        left: `${cell * axis.size}px`,
        width: `${Math.max(1, axis.size - (axis.size > 12 ? 4 : 0))}px`,
        "background-color": isShaded && css(rgb),
        color: isShaded && ink(rgb),
      });
      set(node, {
        "data-narrow": axis.size < NARROW_PX,
        "data-shaded": isShaded,
        "data-gaze": cell === gazed,
        "data-locked": locked.has(cell),
        "data-ghost": isGhost,
        "aria-selected": String(locked.has(cell)),
        "aria-label": isWritten ? null : text,
        "aria-description": cells && exact(weight),
      });
    }
  });
}
