/** What the page asks the kernel for: what somebody looks at and has not come. Without a kernel nothing answers. */
import { effect, signal as state } from "@preact/signals-core";
import { Precision, type Span } from "./blocks.ts";
import { due, isComing, isDrawn, isExact, MAX_LATE, nextRow } from "./lacking.ts";
import { covers, type Shown } from "./large.ts";
import { worst } from "./matrix.ts";
import { UNKNOWN } from "./outline.ts";
import type { Store } from "./store.ts";
import { MEAN, WHOLE_WEIGHTS, type ToKernel } from "./wire.gen.ts";
import type { Picture } from "./wire.ts";

/** Milliseconds after which an answer is no longer waited for. */
const PATIENCE = 3000;
/** How often what is still lacking is asked for again, each time after twice as long. */
const MAX_TRIES = 5;
/** Milliseconds after what had to be waited for, before what may be wanted next is asked for: another wait comes first. */
const PAUSE = 100;

export interface Asking {
  /** Asks for all weights of a head, once for each number of rows. */
  fetch: (site: number, head: number) => void;
  /** Hears that an answer came; without one, that none will. */
  answered: (picture?: Picture) => void;
  /** Forgets what was asked for: another run is shown. */
  reset: () => void;
}

const asSpan = ({ first, end, per }: Span) => [first, end, per];

export function createAsking(store: Store, tell: (message: ToKernel) => void, signal: AbortSignal): Asking {
  const asked = new Map<string, string>(); // with the rows that there were then
  const whole = state(new Map<string, number>()); // tokens of a strip before which none is missing
  const early = new Set<string>(); // rows and heads that were asked for before anybody looked at them
  let latest = ""; // the view that was asked for last
  let scouting = ""; // what nobody looks at yet and is on its way
  let waiting: [site: number, head: number, step: number] | null = null; // of a view; meanwhile only the latest counts
  let timer: ReturnType<typeof setTimeout> | undefined;
  let pause: ReturnType<typeof setTimeout> | undefined;
  const run = () => store.outline.value.run;

  const again = state(0); // grows when answers should be there by now; what is lacking then is asked for again
  let nTries = 0;
  let retry: ReturnType<typeof setTimeout> | undefined;
  const send = (message: ToKernel) => {
    tell(message);
    if (retry || nTries >= MAX_TRIES) return;
    retry = setTimeout(
      () => {
        retry = undefined;
        nTries++;
        again.value++;
        if (!retry) nTries = 0;
      },
      PATIENCE * 2 ** nTries,
    );
  };

  const once = (name: string, nQueries: number, message: ToKernel) => {
    const now = `${nQueries} ${again.value}`;
    if (asked.get(name) === now) return;
    asked.set(name, now);
    send(message);
  };

  const fetch = (site: number, head: number) => {
    const { status, sites } = store.outline.value;
    const nQueries = sites[site]?.nQueries ?? 0;
    once(`${status} ${site}:${head}`, asFar(nQueries), { t: "fetch", run: run(), site, head });
  };

  const isRecording = () => store.outline.value.status === "recording";

  /** Names how far an axis has grown: while it does, what is lacking is not asked for again at each token. */
  const asFar = (end: number) => (isRecording() ? Math.floor(end / MAX_LATE) : end);

  /** The head that is looked at; an only one is its own mean. */
  const one = (): number => {
    const { site, head } = store.selection.value;
    return head === MEAN && store.outline.value.sites[site]?.nHeads === 1 ? 0 : head;
  };

  /** Asks for what is looked at and not here; tells whether there was something to ask for. */
  const view = (): boolean => {
    const { site } = store.selection.value;
    const { nQueries = 0, nKeys = 0 } = store.outline.value.sites[site] ?? {};
    const head = one();
    const { query } = store.gaze.value;
    const shown = store.shown.value;
    if (!shown || nQueries * nKeys <= WHOLE_WEIGHTS || query >= nQueries) return false;
    const matrix = store.matrix(site, head);
    if (shown.queries.end > nQueries || shown.keys.end > nKeys || isComing(matrix, nQueries, isRecording()))
      return false;
    const needed = due(nQueries, isRecording());
    const isSeen = isDrawn(matrix, shown, needed);
    const isHere = query >= needed || isExact(matrix, query);
    if (isSeen && isHere && store.received.value.nSteps > 0) return false;
    const view = [shown.queries, shown.keys].flatMap(({ first, end, per }) => [first, asFar(end), per]);
    const name = [asFar(nQueries), site, head, ...view, isHere ? "" : query, again.value].join(":");
    if (waiting || name === latest) return false;
    waiting = [site, head, query];
    latest = name;
    clearTimeout(pause);
    pause = undefined;
    timer = setTimeout(() => answered(), PATIENCE);
    early.delete(scouting); // which the kernel may leave for this
    look(site, head, shown, query, isSeen);
    return true;
  };

  const look = (site: number, head: number, { queries, keys }: Shown, step: number, rowsAlone = false) =>
    send({
      t: "view",
      run: run(),
      site,
      head,
      queries: asSpan(queries),
      keys: asSpan(keys),
      step,
      cells: rowsAlone ? 0 : 1,
    });

  /** Asks for the rows that will be looked at next, and once what is looked at is read to its end for heads. */
  const ahead = () => {
    const { site } = store.selection.value;
    const head = one();
    const shown = store.shown.value;
    const matrix = store.matrix(site, head);
    const large = matrix?.large;
    const drawn = shown && large?.planes.findLast((plane) => covers(large, plane, shown));
    if (scouting || waiting || pause || !drawn) return;
    const { sites } = store.outline.value;
    const of = sites[site];
    const { query } = store.gaze.value;
    const row = nextRow(matrix, query, due(of?.nQueries ?? 0, isRecording()));
    const beside = [
      [site, head + 1],
      [site, head - 1],
      [site + 1, head],
      [site - 1, head],
    ].filter(([s = 0, h = 0]) => {
      const other = sites[s];
      const isAlike = other && other.nQueries === of?.nQueries && other.nKeys === of.nKeys;
      return isAlike && !drawn.sampled && h >= 0 && h < other.nHeads && !store.matrix(s, h);
    });
    const likely = [...(row === null ? [] : [[site, head, row]]), ...beside.map((place) => [...place, query])];
    const next = likely.find((it) => !early.has(String(it)));
    if (!next) return;
    const [s = 0, h = 0, step = 0] = next;
    scouting = String(next);
    early.add(scouting);
    look(s, h, shown, step, step === row);
  };

  const rested = () => {
    pause = undefined;
    ahead();
  };

  /** Tells whether a picture has the row that is waited for, which others can overtake. */
  const isAwaited = ({ blocks }: Picture, [s, h, step]: [number, number, number]) =>
    blocks.some(({ site, head, queries }) => site === s && head === h && queries.first <= step && step < queries.end);

  const answered = (picture?: Picture) => {
    const known = (picture?.strips ?? [])
      .filter(({ name, at }) => asked.has(`texts ${name} ${at}`))
      .map(({ name, at, texts }) => [name, at + texts.length] as const);
    if (known.length) whole.value = new Map([...whole.value, ...known]);
    if (waiting && (!picture || isAwaited(picture, waiting))) {
      clearTimeout(timer);
      waiting = null;
      pause = setTimeout(rested, PAUSE);
    }
    scouting = "";
    if (!view()) ahead();
  };

  const effects = [
    () => {
      const { site, head } = store.selection.value;
      const { nQueries = 0, nKeys = 0 } = store.outline.value.sites[site] ?? {};
      if (!nQueries || nQueries * nKeys > WHOLE_WEIGHTS) return;
      const matrix = store.matrix(site, head);
      const isThere = isRecording() ? isComing(matrix, nQueries, true) : matrix && worst(matrix) === Precision.Exact;
      if (!isThere) fetch(site, head);
    },
    () => void (view() || ahead()),
    () => {
      for (const site of store.wanted.value) {
        const nQueries = store.outline.value.sites[site]?.nQueries ?? 0;
        if (!isRecording() && nQueries) once(`heads ${site}`, nQueries, { t: "heads", run: run(), site });
      }
    },
    () => {
      const { site } = store.selection.value;
      const head = one();
      const { query } = store.gaze.value;
      if (!store.explaining.value || head === MEAN || store.terms(site, head, query)) return;
      once(`why ${site}:${head}:${query}`, 0, { t: "why", run: run(), site, head, query });
    },
    () => {
      const { strips } = store.outline.value;
      for (const [strip, texts] of Object.entries(strips)) {
        const at = texts.indexOf(UNKNOWN, whole.value.get(strip) ?? 0); // a token may be just this sign
        if (at >= 0 && !isRecording()) once(`texts ${strip} ${at}`, 0, { t: "texts", run: run(), strip, at });
      }
    },
  ].map((ask) => effect(ask));
  signal.addEventListener(
    "abort",
    () => (clearTimeout(timer), clearTimeout(pause), clearTimeout(retry), effects.forEach((stop) => stop())),
    { once: true },
  );

  return {
    fetch,
    answered,
    reset: () => {
      asked.clear();
      whole.value = new Map();
      early.clear();
      latest = "";
      scouting = "";
      waiting = null;
      clearTimeout(timer);
      clearTimeout(pause);
      pause = undefined;
    },
  };
}
