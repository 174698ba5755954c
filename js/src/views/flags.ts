/** What a reader must know of the numbers before trusting the picture. */
import { html, setCount, setText } from "../dom.ts";
import type { Store } from "../store.ts";
import { Precision } from "../wire.ts";
import { words } from "../words.ts";
import type { View } from "./view.ts";

export const flags: View = {
  name: "flags",
  mount(host, store, _layout, signal) {
    host.setAttribute("role", "status");
    store.draw(signal, () => {
      const notes = notesOf(store);
      host.toggleAttribute("hidden", !notes.length);
      const nodes = setCount(host, notes.length, () => html("span", "flag"));
      for (const [i, node] of nodes.entries()) {
        setText(node, notes[i]?.text ?? "");
        node.toggleAttribute("data-warning", notes[i]?.warning ?? false);
      }
    });
  },
};

export function notesOf(store: Store): { text: string; warning: boolean }[] {
  const { site, precision, matrix } = store.slice.value;
  const { status, steps } = store.outline.value;
  const notes = (site?.flags ?? []).map(({ kind, count, where }) => {
    const [head = -1, query = -1, key = -1] = where[0] ?? [];
    const place = words.first_place(head, query, key);
    return { text: (words.flags[kind]?.(count) ?? `${kind}: ${count}`) + (place && ` (${place})`), warning: true };
  });
  if (store.problem.value) notes.unshift({ text: store.problem.value, warning: true });
  if (store.nMissing.value) notes.push({ text: words.missing(store.nMissing.value), warning: true });
  if (status === "stopped") notes.push({ text: words.stopped(steps.length || matrix.nQueries), warning: true });
  if (status === "recording") notes.push({ text: words.recording, warning: false });
  if (store.selection.value.scale === "row") notes.push({ text: words.rowScaled, warning: false });
  if (matrix.nQueries && precision === Precision.Rounded) notes.push({ text: words.rounded, warning: false });
  if (matrix.nQueries && precision === Precision.Pooled) notes.push({ text: words.pooled, warning: true });
  return notes;
}
