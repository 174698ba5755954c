/** What a reader must know of the numbers before trusting the picture. */
import { html, setCount, setText } from "../dom.ts";
import { greatest, precisionOf } from "../matrix.ts";
import { covers, type Large } from "../large.ts";
import type { Store } from "../store.ts";
import { Precision } from "../blocks.ts";
import type { Site } from "../wire.ts";
import type { View } from "./view.ts";
import type { Words } from "../words/index.ts";

/** A greatest weight below this leaves the picture pale on the absolute scale. */
const SPREAD = 0.35;

export const flags: View = {
  name: "flags",
  mount(host, store, _layout, signal) {
    host.setAttribute("role", "status");
    store.draw(signal, () => {
      const warnings = warningsOf(store);
      const notes = notesOf(store);
      const told = [...warnings, ...notes];
      host.toggleAttribute("hidden", !told.length);
      for (const [i, node] of setCount(host, told.length, () => html("span", "flag")).entries()) {
        setText(node, told[i] ?? "");
        node.toggleAttribute("data-note", i >= warnings.length);
      }
    });
  },
};

/** Warnings: the numbers, or the picture of them, are not what a reader would take them for. */
export function warningsOf(store: Store): string[] {
  const { site, precision, matrix, special } = store.slice.value;
  const { status, steps } = store.outline.value;
  const notes = flagsOf(store.words, site, (kind) => kind !== "mask");
  if (store.problem.value) notes.unshift(store.problem.value);
  if (store.lost.value) notes.unshift(store.words.lost[store.lost.value]);
  if (store.nMissing.value) notes.push(store.words.missing(store.nMissing.value));
  if (status === "stopped") notes.push(store.words.stopped(steps.length || matrix.nQueries));
  if (matrix.nQueries && precision === Precision.Pooled && !matrix.large) notes.push(store.words.pooled);
  const { special: choice, expectation, expected } = store.selection.value;
  if (choice === "omit" && special.length && !matrix.large) notes.push(store.words.omitted(special.length));
  if (expectation === "own" && matrix.nKeys && expected.length !== matrix.nKeys)
    notes.push(store.words.unfitting(expected.length, matrix.nKeys));
  return notes;
}

/** Notes: the numbers are as they should be, and yet not what most attention is. */
export const notesOf = (store: Store): string[] =>
  flagsOf(store.words, store.slice.value.site, (kind) => kind === "mask");

const flagsOf = (words: Words, site: Site | undefined, isTold: (kind: string) => boolean): string[] =>
  (site?.flags ?? [])
    .filter(({ kind }) => isTold(kind))
    .map(({ kind, count, where }) => {
      const [head = -1, query = -1, key = -1] = where[0] ?? [];
      const place = words.first_place(head, query, key);
      return (words.flags[kind]?.(count) ?? `${kind}: ${count}`) + (place && ` (${place})`) + (words.hints[kind] ?? "");
    });

/** How much of a large head was read, and what is kept of such heads. */
function kept(store: Store, large: Large): string[] {
  const shown = store.shown.value;
  const drawn = shown && large.planes.findLast((plane) => covers(large, plane, shown));
  const bytes = store.words.kept(store.nBytes() / 1e6, store.nKept.value / 1e6);
  const { matrix } = store.slice.value;
  const isRowHere = precisionOf(matrix, store.gaze.value.query) === Precision.Exact; // which is read to a person
  if (!drawn || !isRowHere) return [store.words.coarse, bytes];
  return drawn.sampled ? [store.words.sampled, bytes] : [bytes];
}

/** Remarks: how the picture is drawn. They stand where they move nothing when they come and go. */
export function remarksOf(store: Store): string[] {
  const { precision, matrix, special } = store.slice.value;
  const { special: choice } = store.selection.value;
  const remarks: string[] = [];
  if (store.outline.value.status === "recording") remarks.push(store.words.recording);
  if (special.length && (choice === "dim" || (choice === "omit" && matrix.large)))
    remarks.push(store.words.dimmed(special.length));
  if (matrix.large) remarks.push(...kept(store, matrix.large));
  if (store.scale.value === "row") remarks.push(store.words.rowScaled);
  else if (matrix.nQueries && greatest(matrix) < SPREAD) remarks.push(store.words.spreadOut);
  if (matrix.nQueries && precision === Precision.Rounded) remarks.push(store.words.rounded);
  return remarks;
}
