/** Why a weight is what it is: from query and key over their score to the softmax, number by number. */
import { html, setCount, setText, svg } from "../dom.ts";
import { at, row, strongest } from "../matrix.ts";
import type { Store } from "../store.ts";
import { exact, short, shown } from "../text.ts";
import { MEAN } from "../wire.gen.ts";
import { stepsOf, type Row } from "./why-steps.ts";
import type { View } from "./view.ts";

/** CSS pixels. */
const ROW_PX = 18;
const MAX_CELL = 14;
/** Vectors of so few features are written out, each number beside its bar. */
const WRITTEN = 8;
const WRITTEN_CELL = 64;

export const why: View = {
  name: "why",
  mount(host, store, layout, signal) {
    const button = html("button", "why-button attnwidget-toggle", { type: "button" }, store.words.why);
    const body = html("div", "why-body", { hidden: true });
    const cell = html("p", "why-cell");
    const drawing = html("div", "why-rows");
    const list = html("ol", "why-steps");
    body.append(cell, drawing, list);
    host.append(button, body);
    button.addEventListener("click", () => (store.explaining.value = !store.explaining.value), { signal });

    store.draw(signal, () => {
      const open = store.explaining.value;
      button.setAttribute("aria-expanded", String(open));
      body.toggleAttribute("hidden", !open);
      host.toggleAttribute("hidden", !store.slice.value.matrix.nQueries);
      if (!open) return;
      const { query, key, head } = cellOf(store);
      const { keys, queries, matrix, site } = store.slice.value;
      setText(
        cell,
        store.words.whyCell(shown(queries[query] ?? ""), shown(keys[key] ?? ""), exact(at(matrix, query, key))),
      );
      const terms = head === MEAN ? undefined : store.terms(store.selection.value.site, head, query);
      const found =
        head === MEAN ? null : stepsOf(terms, key, store.matrix(store.selection.value.site, head), query, store.words);
      const told = found?.steps ?? [[site && head === MEAN ? store.words.whyMean : store.words.whyWaiting, ""]];
      drawRows(drawing, found?.rows ?? [], layout.value.left + layout.value.scene);
      for (const [i, node] of setCount(list, told.length, () =>
        html("li", "why-step", {}, html("span", "why-name"), html("span", "why-value")),
      ).entries()) {
        const [name, value] = node.children;
        if (name) setText(name, told[i]?.[0] ?? "");
        if (value) setText(value, told[i]?.[1] ?? "");
      }
    });
  },
};

/** The cell that is looked at: the gazed key, or the strongest of the row. */
function cellOf(store: Store): { query: number; key: number; head: number } {
  const { matrix, site } = store.slice.value;
  const { query, keys } = store.gaze.value;
  const { head } = store.selection.value;
  const [key = 0] = keys.length ? keys : strongest(row(matrix, query), 1);
  return { query, key, head: head === MEAN && site?.nHeads === 1 ? 0 : head };
}

/** Vectors as bars around a line, feature under feature; those of one unit share a scale. */
function drawRows(host: HTMLElement, rows: Row[], width: number): void {
  const label = 96;
  const n = Math.max(0, ...rows.map((row) => row.values.length));
  const isWritten = n <= WRITTEN && n * WRITTEN_CELL <= width - label;
  const pitch = isWritten ? WRITTEN_CELL : Math.min(MAX_CELL, (width - label) / Math.max(1, n));
  const size = Math.min(MAX_CELL, pitch);
  host.toggleAttribute("hidden", !rows.length);
  host.replaceChildren(
    ...rows.map(({ name, values }) => {
      const top = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9);
      const middle = ROW_PX / 2;
      const bars = Array.from(values, (value, k) => {
        const reach = (Math.min(Math.abs(value), top) / top) * (ROW_PX / 2);
        const y = value > 0 ? middle - reach : middle;
        return `M${k * pitch} ${y}h${Math.max(0.5, size - 1)}v${Math.max(0.5, reach)}h${-Math.max(0.5, size - 1)}z`;
      });
      const drawing = svg(
        "svg",
        "why-bars",
        { role: "img", "aria-label": name, width: n * pitch, height: ROW_PX },
        svg("path", "why-base", { d: `M0 ${middle}h${n * pitch}` }),
        svg("path", "why-bar", { d: bars.join("") }),
      );
      const numbers = (isWritten ? [...values] : []).map((value, k) => {
        const number = html("span", "why-number", {}, short(value));
        number.style.left = `${label + k * pitch + size + 2}px`;
        return number;
      });
      return html("div", "why-row", {}, html("span", "why-label", {}, name), drawing, ...numbers);
    }),
  );
}
