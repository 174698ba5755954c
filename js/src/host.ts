/** Between the host's model and the store: traits and messages in, selections out. Views never see it. */
import { createAsking } from "./asking.ts";
import { crc32 } from "./crc.ts";
import { PictureError, Precision } from "./blocks.ts";
import { worst } from "./matrix.ts";
import { isOver } from "./outline.ts";
import { inflate } from "./packed.ts";
import { SELECTED, type Selection } from "./selection.ts";
import type { Store } from "./store.ts";
import type { EndMessage, ToKernel, ToPage, Traits } from "./wire.gen.ts";
import { readPicture, toBytes } from "./wire.ts";

type Listener = (...values: never[]) => void;

/** All that is used of a host's model; anywidget's AnyModel has it. */
export interface Model {
  get<K extends keyof Traits>(name: K): Traits[K];
  set<K extends keyof Traits>(name: K, value: Traits[K]): void;
  save_changes(): void;
  send(content: unknown): void;
  on(event: string, listener: Listener): void;
  off(event: string, listener: Listener): void;
}

/** Milliseconds between two requests for rows that did not come, and how often they are repeated. */
const ASK_EVERY = 1000;
const ASK_TIMES = 10;
/** Milliseconds for which a kernel works at most that only answers. */
const ANSWER_MS = 100;
/** Messages that may be lost in a row before a number is taken for nonsense. */
const MAX_AHEAD = 100_000;

/** Keeps a store in step with a model until the signal ends. */
export function connect(model: Model, store: Store, signal: AbortSignal): ReturnType<typeof createInbox> {
  const on = (event: string, listener: Listener) => {
    model.on(event, listener);
    signal.addEventListener("abort", () => model.off(event, listener), { once: true });
  };
  const read = (names: readonly (keyof Selection)[]) =>
    Object.fromEntries(
      names.map((name) => [name, model.get(name)]).filter(([, value]) => value !== undefined), // a kernel of another version
    ) as Partial<Selection>;
  const send = (message: ToKernel) => {
    if (isGone(store)) return;
    try {
      model.send(message);
    } catch {
      // no kernel: the picture stays what it is
    }
  };

  const inbox = createInbox(store, send, signal);
  store.select({ ...read(SELECTED), ...(model.get("follows") === true && { step: Number.MAX_SAFE_INTEGER }) }, true);
  for (const name of SELECTED) on(`change:${name}`, () => store.select(read([name]), true));
  store.onSelect((change, quiet) => {
    if (signal.aborted) return;
    for (const name of SELECTED) {
      const value = change[name];
      if (value !== undefined && model.get(name) !== value) model.set(name, value as never);
    }
    if (change.step !== undefined) model.set("follows", change.step >= store.nSteps.value - 1);
    if (!quiet && !isGone(store)) model.save_changes();
  });

  on("change:frame", () => inbox.frame(model.get("frame")));
  on("msg:custom", ((content: ToPage, buffers: unknown[]) => inbox.message(content, buffers)) as Listener);
  inbox.frame(model.get("frame"));
  return inbox;
}

/** Tells whether the kernel ended; one that only did not answer may yet. */
const isGone = ({ lost }: Store) => lost.value === "restarted" || lost.value === "ended";

/** Tells a number that a run can have reached from one that would only fill the page's memory. */
const isCount = (value: number, expected: number) =>
  Number.isSafeInteger(value) && value >= 0 && value <= expected + MAX_AHEAD;

/** Takes pictures in the order in which they came, asks for those that did not, and checks them at the end. */
function createInbox(store: Store, send: (message: ToKernel) => void, signal: AbortSignal) {
  let queue: Promise<unknown> = Promise.resolve();
  let expected = 0; // number of the first rows message that has not come
  const early = new Set<number>(); // those that came before an earlier one
  let end: EndMessage | null = null; // what the kernel said must have arrived
  let isHeard = false; // the kernel, at all
  let isNews = false; // since the kernel rested
  let stranger = ""; // another run of which something came
  let timer: ReturnType<typeof setTimeout> | undefined;
  let unanswered: ReturnType<typeof setTimeout> | undefined;
  signal.addEventListener("abort", () => (clearTimeout(timer), clearTimeout(unanswered)), { once: true });

  const run = () => store.outline.value.run;
  const asking = createAsking(store, send, signal);
  const enqueue = (job: () => unknown) => {
    queue = queue
      .then(() => signal.aborted || job())
      .catch((error: unknown) => {
        store.problem.value = error instanceof PictureError ? error.message : store.words.unreadable;
      });
  };

  const arrived = (seq: number) => {
    if (seq >= expected) early.add(seq);
    while (early.delete(expected)) expected++;
  };

  const lacking = (count: number) =>
    Array.from({ length: count - expected }, (_, i) => expected + i).filter((seq) => !early.has(seq));

  const ask = (count: number, times: number) => {
    clearTimeout(timer);
    const seqs = lacking(count);
    store.nMissing.value = seqs.length && times <= 0 ? Math.max(1, nAbsent()) : 0;
    if (!seqs.length || times <= 0) return;
    send({ t: "need", run: run(), seqs });
    timer = setTimeout(() => ask(count, times - 1), ASK_EVERY);
  };

  const nAbsent = () => {
    const { site, matrix } = store.slice.value;
    return (site?.nQueries ?? 0) - matrix.precision.filter((precision) => precision > Precision.Missing).length;
  };

  const take = (bytes: Uint8Array) => {
    const picture = readPicture(bytes);
    const isNew = picture.run !== run();
    if (isNew) {
      expected = 0;
      early.clear();
      asking.reset();
      end = null;
      store.verified.value = "";
      store.nMissing.value = 0;
    }
    store.merge(picture);
    store.problem.value = "";
    return { picture, isNew };
  };

  /** Asks for rows messages before a number that did not come. */
  const lacks = (count: number) => {
    if (count > expected && isCount(count, expected)) ask(count, ASK_TIMES);
  };

  /** Asks how far the run has come, until an answer tells. */
  const ready = (times = ASK_TIMES) => {
    clearTimeout(unanswered);
    send({ t: "ready", run: run(), seq: expected });
    if (times > 1) unanswered = setTimeout(() => ready(times - 1), ASK_EVERY);
  };

  const verify = () => {
    if (!end || lacking(end.count).length) return;
    const equal = end.digests.filter(({ site, head, crc }) => {
      const matrix = store.matrix(site, head);
      if (!matrix || worst(matrix) < Precision.Exact) return false; // fetched when it is looked at
      const same = crc32(matrix.values) === crc;
      if (!same) asking.fetch(site, head);
      return same;
    });
    store.verified.value = equal.map(({ site, head, crc }) => `${site}:${head}:${crc}`).join(" ");
  };

  return {
    isHeard: () => isHeard,
    rested: (busy: number) => {
      // The last messages may have been lost, of which no later one tells. Answers to this are no reason to ask again.
      const isOpen = !store.verified.value && !isOver(store.outline.value) && busy > ANSWER_MS;
      if (isNews || isOpen) enqueue(() => ready()); // by then what came first is read, and says which run this is
      isNews = false;
    },
    frame: (value: unknown) =>
      enqueue(async () => {
        const bytes = toBytes(value);
        if (!bytes.byteLength) return;
        const { picture, isNew } = take(await inflate(bytes));
        if (!isNew) return lacks(picture.seq); // what it holds may be rounded, or cut
        for (let seq = expected; seq < picture.seq; seq++) arrived(seq);
        ready();
      }),
    message: (content: ToPage | null, buffers: unknown[]) => {
      if (typeof content !== "object" || content === null) return;
      isNews ||= content.t === "rows";
      if (!isHeard) store.lose("");
      isHeard = true;
      enqueue(() => {
        if (content.run !== run()) {
          if (content.t === "rows" && content.run !== stranger) ready(); // the frame of that run was lost
          stranger = content.run;
          return;
        }
        if (content.t !== "rows") clearTimeout(unanswered);
        if (content.t === "rows" && isCount(content.seq, expected)) {
          take(toBytes(buffers[0]));
          arrived(content.seq);
          if (expected <= content.seq || store.nMissing.value) ask(Math.max(content.seq, end?.count ?? 0), ASK_TIMES);
        } else if (content.t === "blocks") {
          const { picture } = take(toBytes(buffers[0]));
          lacks(picture.seq);
          asking.answered(picture);
        } else if (content.t === "refused") store.problem.value = String(content.reason);
        else if (content.t === "end" && isCount(content.count, expected) && Array.isArray(content.digests)) {
          end = content;
          ask(content.count, ASK_TIMES);
        }
        verify();
      });
    },
  };
}
