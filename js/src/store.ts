/** The one state that every view draws: the recording, the selection, the focus, and what follows from them. */
import { batch, computed, signal as state, type ReadonlySignal, type Signal } from "@preact/signals-core";
import { draw } from "./draw.ts";
import { withHeads, type Head } from "./heads.ts";
import type { Shown } from "./large.ts";
import { createHeld } from "./held.ts";
import type { Matrix } from "./matrix.ts";
import { strongest, summed } from "./matrix.ts";
import type { Window } from "./scales.ts";
import { withPictures } from "./pictured.ts";
import type { Picture, Terms } from "./wire.ts";
import { NOTHING, type Outline, readsItself, withPicture } from "./outline.ts";
import { expectationOf, FIRST, type Selection } from "./selection.ts";
import { sliceOf, type Slice } from "./slice.ts";
import { type Language, languageOf, type Words, wordsOf } from "./words/index.ts";

export type Lost = "" | "restarted" | "ended" | "unknown";
export type Links = "step" | "all" | "none";

/** What is hovered, or what is drawn because of it. */
export interface Gaze {
  query: number;
  /** hovered or locked inputs; the first is the one that sentences speak of */
  keys: number[];
}

export interface Store {
  outline: ReadonlySignal<Outline>;
  selection: ReadonlySignal<Selection>;
  focus: Signal<{ query: number | null; key: number | null }>;
  gaze: ReadonlySignal<Gaze>;
  slice: ReadonlySignal<Slice>;
  /** what colours reach to: 1, or each row's maximum */
  scale: ReadonlySignal<"absolute" | "row">;
  /** colour of 1, for each row: 1, or the row's maximum */
  rowTop: (weights: Float32Array) => number;
  /** steps of the selected site, also where this picture has no weights of the selected head */
  nSteps: ReadonlySignal<number>;
  /** keys that there were at the gazed step: what a decoder has read grows by one token a step */
  nRead: ReadonlySignal<number>;
  /** rows that strength counts: up to the gazed step; of an encoder, which has no steps, all */
  nSeen: ReadonlySignal<number>;
  /** rows up to the selected step or the gazed one; of an encoder all. What comes later is pale */
  nReached: ReadonlySignal<number>;
  /** what each key received from them, or of a large head from as many as are known */
  received: ReadonlySignal<{ nSteps: number; values: Float64Array }>;
  /** cells that the heatmap has places for */
  shown: Signal<Shown | null>;
  /** bytes of heads that are too large to be here whole */
  nBytes: () => number;
  /** bytes that the kernel keeps of them, beside the trace */
  nKept: ReadonlySignal<number>;
  /** strength that the reader expects of a key at the gazed step; null for none */
  expected: ReadonlySignal<(key: number) => number | null>;
  /** what was told of heads as a whole, by headName */
  heads: ReadonlySignal<Map<string, Head>>;
  /** sites of whose heads somebody looks at what was not told */
  wanted: Signal<number[]>;
  window: Signal<{ queries: Window; keys: Window }>;
  links: Signal<Links>;
  /** strips that a block of the diagram stands for, while it is hovered */
  spot: Signal<string[]>;
  /** whether the diagram is shown */
  diagram: Signal<boolean>;
  playing: Signal<boolean>;
  /** how much of a picture is covered where there is no weight, 0 to 1 */
  veil: Signal<number>;
  dark: ReadonlySignal<boolean>;
  language: ReadonlySignal<Language>;
  /** what the page says in that language; views are built anew when it changes */
  readonly words: Words;
  /** rows that were promised and have not come */
  nMissing: Signal<number>;
  /** digests that the kernel told and the page found equal, as site:head:crc */
  verified: Signal<string>;
  /** a sentence instead of a picture */
  problem: Signal<string>;
  /** how the kernel went; empty while nobody heard that it did */
  lost: ReadonlySignal<Lost>;
  /** Notes that nothing more will come: what was being recorded is stopped. The first cause stays, unless unknown. */
  lose: (how: Lost) => void;
  /** Changes the selection; the host hears of it unless it is `quiet`. */
  select: (change: Partial<Selection>, quiet?: boolean) => void;
  /** Locks an input, or lets it go. */
  toggleKey: (key: number) => void;
  merge: (picture: Picture) => void;
  /** All weights of a head as far as they have come. */
  matrix: (site: number, head: number) => Matrix | null;
  /** What the weights of a row came of, if that has come; without arrays where nothing was recorded. */
  terms: (site: number, head: number, query: number) => Terms | undefined;
  /** somebody looks at why a weight is what it is */
  explaining: Signal<boolean>;
  onSelect: (listener: (change: Partial<Selection>, quiet: boolean) => void) => void;
  /** Runs `paint` now and, at most once a frame, whenever something changed that it read. */
  draw: (signal: AbortSignal, paint: () => void) => void;
}

/** The row that stands for all of a head of which nothing was recorded. */
const ALL_QUERIES = -1;

/** `page` is the language of the page around, as its HTML says. */
export function createStore(dark: ReadonlySignal<boolean>, page = ""): Store {
  const outline = state(NOTHING);
  const selection = state(FIRST);
  const held = createHeld();
  const nKept = state(0);
  const heads = state(new Map<string, Head>());
  const lost = state<Lost>("");
  const terms = state(new Map<string, Terms>());
  const focus = state<{ query: number | null; key: number | null }>({ query: null, key: null });
  const listeners: ((change: Partial<Selection>, quiet: boolean) => void)[] = [];

  const matrix = (site: number, head: number) => held.matrix(site, head, outline.value.sites[site]);

  // Each of these changes with few of the fields of the selection, so that a step does not compute weights anew.
  const index = computed(() => selection.value.site);
  const head = computed(() => selection.value.head);
  const special = computed(() => selection.value.special);
  const named = computed(() => selection.value.special_keys);
  const found = computed(() => matrix(index.value, head.value)); // the same one while others come
  const slice = computed(() => sliceOf(outline.value, index.value, found.value, special.value, named.value));

  const nSteps = computed(() => Math.max(slice.value.site?.nQueries ?? 0, slice.value.matrix.nQueries));

  const gaze = computed<Gaze>(() => {
    const last = Math.max(0, nSteps.value - 1);
    const { query, key } = focus.value;
    const keys = selection.value.locked.filter((k) => k < slice.value.matrix.nKeys);
    return {
      query: Math.min(query ?? selection.value.step, last),
      keys: key === null || key >= slice.value.matrix.nKeys ? keys : [key, ...keys.filter((k) => k !== key)],
    };
  });

  const nSeen = computed(() => {
    const { site, matrix } = slice.value;
    return site?.kind === "encoder" ? matrix.nQueries : gaze.value.query + 1;
  });

  const language = computed(() => languageOf(selection.value.language, page));
  const nReached = computed(() => Math.max(selection.value.step + 1, nSeen.value));

  const scale = computed(() => {
    const { scale: chosen } = selection.value;
    return chosen === "auto" ? (slice.value.matrix.large ? "row" : "absolute") : chosen;
  });

  const received = computed(() => summed(slice.value.matrix, nSeen.value));

  const nRead = computed(() => {
    const { site, matrix } = slice.value;
    return site && readsItself(site) ? site.nKeys - site.nQueries + 1 + gaze.value.query : matrix.nKeys;
  });

  const expected = computed(() => {
    const { nKeys } = slice.value.matrix;
    const { expected: own, strength: over } = selection.value;
    const expectation = expectationOf(selection.value, slice.value.site, slice.value.keyScene !== null);
    const ratio = nSeen.value / nKeys;
    const isKnown = nKeys > 0 && received.value.nSteps > 0;
    if (expectation === "none" || !isKnown || over === "step") return () => null;
    if (expectation === "own") return (key: number) => (own.length === nKeys ? (own[key] ?? null) : null);
    return () => (expectation === "one" ? 1 : ratio);
  });

  const select = (change: Partial<Selection>, quiet = false) => {
    const current = selection.value;
    const changed = Object.entries(change).some(([name, value]) => !same(current[name as keyof Selection], value));
    if (!changed) return;
    selection.value = { ...current, ...change };
    for (const listener of listeners) listener(change, quiet);
  };

  const merge = (picture: Picture) =>
    batch(() => {
      const before = picture.run === outline.value.run ? outline.value : NOTHING;
      const { step, site } = selection.value;
      const wasLast = step >= (before.sites[site]?.nQueries ?? 0) - 1;
      outline.value = withPicture(before, picture);
      held.take(picture, outline.value.sites, before === NOTHING, outline.value.status === "recording");
      const known = withHeads(before === NOTHING ? new Map() : heads.value, picture.heads);
      heads.value = withPictures(known, picture.blocks);
      nKept.value = picture.kept || (before === NOTHING ? 0 : nKept.value);
      const told = picture.terms.map((row) => [`${row.site}:${row.head}:${row.query}`, row] as const);
      if (before === NOTHING || told.length)
        terms.value = new Map([...(before === NOTHING ? [] : terms.value), ...told]);
      const { nQueries = 0, kind } = outline.value.sites[site] ?? {};
      const last = Math.max(0, nQueries - 1);
      if (before !== NOTHING && wasLast && kind !== "encoder") select({ step: last }, true);
      else if (step > last) select({ step: last }, true);
    });

  return {
    outline,
    selection,
    focus,
    gaze,
    slice,
    rowTop: (weights) => (scale.value === "absolute" ? 1 : (weights[strongest(weights, 1)[0] ?? -1] ?? 1)),
    nSteps,
    nRead,
    scale,
    nSeen,
    nReached,
    received,
    shown: state<Shown | null>(null),
    nBytes: held.nBytes,
    nKept,
    expected,
    heads,
    wanted: state<number[]>([]),
    window: state<{ queries: Window; keys: Window }>({ queries: null, keys: null }),
    links: state<Links>("step"),
    spot: state<string[]>([]),
    diagram: state(true),
    veil: state(0.8),
    playing: state(false),
    dark,
    language,
    get words() {
      return wordsOf(language.value);
    },
    nMissing: state(0),
    verified: state(""),
    problem: state(""),
    lost,
    lose: (how) =>
      batch(() => {
        if (lost.value && lost.value !== "unknown") return;
        const [from, to] = how ? (["recording", "stopped"] as const) : (["stopped", "recording"] as const);
        if (lost.value !== how && outline.value.status === from) outline.value = { ...outline.value, status: to };
        lost.value = how;
      }),
    select,
    toggleKey: (key) => {
      const { locked } = selection.value;
      select({ locked: locked.includes(key) ? locked.filter((k) => k !== key) : [...locked, key] });
    },
    merge,
    matrix,
    terms: (site, head, query) =>
      terms.value.get(`${site}:${head}:${query}`) ?? terms.value.get(`${site}:${head}:${ALL_QUERIES}`),
    explaining: state(false),
    onSelect: (listener) => void listeners.push(listener),
    draw,
  };
}

const same = (a: unknown, b: unknown): boolean =>
  Array.isArray(a) && Array.isArray(b) ? a.length === b.length && a.every((x, i) => x === b[i]) : a === b;
