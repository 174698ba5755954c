/** What a reader must know of the numbers before trusting the picture. */
import { html, setCount, setText } from "../dom.ts";
import { greatest } from "../matrix.ts";
import type { Store } from "../store.ts";
import { Precision } from "../wire.ts";
import { words } from "../words.ts";
import type { View } from "./view.ts";

/** A greatest weight below this leaves the picture pale on the absolute scale. */
const SPREAD = 0.35;

export const flags: View = {
  name: "flags",
  mount(host, store, _layout, signal) {
    host.setAttribute("role", "status");
    store.draw(signal, () => {
      const warnings = warningsOf(store);
      host.toggleAttribute("hidden", !warnings.length);
      const nodes = setCount(host, warnings.length, () => html("span", "flag"));
      for (const [i, node] of nodes.entries()) setText(node, warnings[i] ?? "");
    });
  },
};

/** Warnings: the numbers, or the picture of them, are not what a reader would take them for. */
export function warningsOf(store: Store): string[] {
  const { site, precision, matrix, special } = store.slice.value;
  const { status, steps } = store.outline.value;
  const notes = (site?.flags ?? []).map(({ kind, count, where }) => {
    const [head = -1, query = -1, key = -1] = where[0] ?? [];
    const place = words.first_place(head, query, key);
    return (words.flags[kind]?.(count) ?? `${kind}: ${count}`) + (place && ` (${place})`) + (words.hints[kind] ?? "");
  });
  if (store.problem.value) notes.unshift(store.problem.value);
  if (store.nMissing.value) notes.push(words.missing(store.nMissing.value));
  if (status === "stopped") notes.push(words.stopped(steps.length || matrix.nQueries));
  if (matrix.nQueries && precision === Precision.Pooled) notes.push(words.pooled);
  const { special: choice, expectation, expected } = store.selection.value;
  if (choice === "omit" && special.length) notes.push(words.omitted(special.length));
  if (expectation === "own" && matrix.nKeys && expected.length !== matrix.nKeys)
    notes.push(words.unfitting(expected.length, matrix.nKeys));
  return notes;
}

/** Remarks: how the picture is drawn. They stand where they move nothing when they come and go. */
export function remarksOf(store: Store): string[] {
  const { precision, matrix, special } = store.slice.value;
  const { scale, special: choice } = store.selection.value;
  const remarks: string[] = [];
  if (store.outline.value.status === "recording") remarks.push(words.recording);
  if (choice === "dim" && special.length) remarks.push(words.dimmed(special.length));
  if (scale === "row") remarks.push(words.rowScaled);
  else if (matrix.nQueries && greatest(matrix) < SPREAD) remarks.push(words.spreadOut);
  if (matrix.nQueries && precision === Precision.Rounded) remarks.push(words.rounded);
  return remarks;
}
