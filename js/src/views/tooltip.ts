/** The exact weight under the pointer, in store.words. */
import { signal as state } from "@preact/signals-core";
import { html, setStyle, setText } from "../dom.ts";
import { shown } from "../text.ts";
import { told } from "./told.ts";
import type { View } from "./view.ts";

/** Distance from the pointer, in CSS pixels. */
const AWAY = 14;

export const tooltip: View = {
  name: "tooltip",
  mount(host, store, _layout, signal) {
    const tip = html("div", "tip", { role: "tooltip", hidden: true });
    const pointer = state({ x: 0, y: 0, width: 0 });
    host.append(tip);
    host.addEventListener(
      "pointermove",
      (event) => {
        const box = host.getBoundingClientRect();
        pointer.value = { x: event.clientX - box.left, y: event.clientY - box.top, width: box.width };
      },
      { signal },
    );
    store.draw(signal, () => {
      const { query: hoveredQuery, key: hoveredKey } = store.focus.value;
      const { query, keys } = store.gaze.value;
      const { matrix, queries, keys: keyTexts } = store.slice.value;
      const key = keys[0];
      const quiet = (hoveredQuery === null && hoveredKey === null) || key === undefined || !matrix.nQueries;
      tip.toggleAttribute("hidden", quiet);
      if (quiet) return;
      const { x, y, width } = pointer.value;
      const toLeft = x > width / 2;
      setStyle(tip, {
        left: toLeft ? null : `${x + AWAY}px`,
        right: toLeft ? `${width - x + AWAY}px` : null,
        top: `${y + AWAY}px`,
      });
      setText(
        tip,
        store.words.weightOf(shown(queries[query] ?? ""), shown(keyTexts[key] ?? ""), told(matrix, query, key)),
      );
    });
  },
};
