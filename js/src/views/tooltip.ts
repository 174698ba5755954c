/** The exact weight under the pointer, in words. */
import { html, setText } from "../dom.ts";
import { shown, words } from "../words.ts";
import { told } from "./told.ts";
import type { View } from "./view.ts";

/** Distance from the pointer, in CSS pixels. */
const AWAY = 14;

export const tooltip: View = {
  name: "tooltip",
  mount(host, store, _layout, signal) {
    const tip = html("div", "tip", { role: "tooltip", hidden: true });
    host.append(tip);
    host.addEventListener(
      "pointermove",
      (event) => {
        const box = host.getBoundingClientRect();
        const x = event.clientX - box.left;
        const toLeft = x > box.width / 2;
        tip.style.left = toLeft ? "" : `${x + AWAY}px`;
        tip.style.right = toLeft ? `${box.width - x + AWAY}px` : "";
        tip.style.top = `${event.clientY - box.top + AWAY}px`;
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
      if (!quiet)
        setText(tip, words.weightOf(shown(queries[query] ?? ""), shown(keyTexts[key] ?? ""), told(matrix, query, key)));
    });
  },
};
