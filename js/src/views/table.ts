/** The step as a table: each input with its weight and its strength, for those who read numbers or hear them. */
import { signal as state } from "@preact/signals-core";
import { html, set, setCount, setText } from "../dom.ts";
import { row, strongest } from "../matrix.ts";
import type { Store } from "../store.ts";
import { exact, shown } from "../text.ts";
import { axisName } from "./strip.ts";
import type { View } from "./view.ts";

/** Lines of a table; of more inputs those with the largest weights are listed. */
const MOST_LINES = 50;

export const table: View = {
  name: "table",
  mount(host, store, _layout, signal) {
    const { words } = store;
    const isOpen = state(false);
    const button = html("button", "table-button attnwidget-toggle", { type: "button" }, words.table);
    const caption = html("caption", "table-caption");
    const titles = ["", words.weight, words.strength].map((text) => html("th", "", { scope: "col" }, text));
    const body = html("tbody", "");
    const listed = html("table", "table-list", {}, caption, html("thead", "", {}, html("tr", "", {}, ...titles)), body);
    const note = html("p", "note");
    const scrolls = { tabindex: 0, role: "region", "aria-label": words.table }; // by keys, where it is narrow
    const box = html("div", "table-box", scrolls, listed, note);
    host.append(button, box);
    button.addEventListener("click", () => (isOpen.value = !isOpen.value), { signal });
    store.draw(signal, () => {
      set(button, { "aria-expanded": String(isOpen.value) });
      set(box, { hidden: !isOpen.value });
      set(host, { hidden: !store.slice.value.matrix.nQueries });
      if (!isOpen.value) return;
      const { lines, left } = linesOf(store);
      setText(titles[0] as HTMLElement, axisName(store, "key"));
      setText(caption, captionOf(store));
      setText(note, left ? words.largest(lines.length, lines.length + left) : "");
      const nodes = setCount(body, lines.length, () =>
        html("tr", "", {}, html("th", "", { scope: "row" }), html("td", ""), html("td", "")),
      );
      for (const [i, node] of nodes.entries())
        for (const [c, cell] of [...node.children].entries()) setText(cell, lines[i]?.[c] ?? "");
    });
  },
};

/** What each line of the table holds, in the order of the inputs, and how many inputs have none. */
export function linesOf(store: Store): { lines: string[][]; left: number } {
  const { matrix, keys } = store.slice.value;
  const weights = row(matrix, store.gaze.value.query);
  const { values } = store.received.value;
  const all = [...weights.keys()];
  const listed = all.length > MOST_LINES ? strongest(weights, MOST_LINES).sort((a, b) => a - b) : all;
  const lines = listed.map((key) => [
    `${key + 1} ${shown(keys[key] ?? "")}`,
    exact(weights[key] ?? Number.NaN),
    exact(values[key] ?? Number.NaN),
  ]);
  return { lines, left: all.length - lines.length };
}

function captionOf(store: Store): string {
  const { site, queries } = store.slice.value;
  const { query } = store.gaze.value;
  const name = store.words.rowNames[site?.kind ?? "cross"];
  return store.words.stepText(query, store.nSteps.value, name, shown(queries[query] ?? ""));
}
