/** Pictures that lie in an exported page: read ahead where they are few, else when somebody looks at them. */
import { batch, effect } from "@preact/signals-core";
import { headName } from "./heads.ts";
import { inflate, taken } from "./packed.ts";
import type { Store } from "./store.ts";
import { AHEAD_WEIGHTS, MEAN } from "./wire.gen.ts";
import { readPicture, type Picture } from "./wire.ts";

/** An element that holds a picture, and the names of the heads of which that has weights. */
interface Part {
  heads: string[];
  element: HTMLElement;
}

/** Takes up the pictures that stand behind an element, up to the next one that something is drawn in. */
export function createShelf(data: HTMLElement, store: Store, signal: AbortSignal): void {
  const parts = new Set(partsBehind(data));
  const ready = new Map<string, Picture>(); // of heads that will be looked at next

  const read = (part: Part): Promise<Picture> => {
    parts.delete(part);
    const bytes = taken(part.element);
    part.element.remove();
    return inflate(bytes).then(readPicture);
  };
  const of = (names: string[]) => [...parts].filter(({ heads }) => heads.some((name) => names.includes(name)));
  const merge = (pictures: Iterable<Picture>) => batch(() => [...pictures].forEach((picture) => store.merge(picture)));
  const attempt = (job: () => Promise<void>) =>
    void job().catch((error: unknown) => {
      store.problem.value = error instanceof Error ? error.message : String(error);
    });

  /** Heads that are looked at and not here. */
  const lacking = (): string[] => {
    const { site, head } = store.selection.value;
    if (store.matrix(site, head)) return [];
    const { nHeads = 0 } = store.outline.value.sites[site] ?? {};
    return head === MEAN ? [MEAN, ...Array(nHeads).keys()].map((each) => headName(site, each)) : [headName(site, head)];
  };

  const readAll = async () => {
    const found: Picture[] = [];
    for (const part of parts) {
      await pause();
      if (signal.aborted) return;
      if (parts.has(part)) found.push(await read(part));
    }
    merge(found); // at once: every view draws anew
  };

  /** Makes ready the heads beside the one that is looked at; merged later, so that no view draws anew for them. */
  const readNext = async () => {
    await pause();
    const { site, head } = store.selection.peek();
    const next = [
      headName(site, head + 1),
      headName(site, head - 1),
      headName(site + 1, head),
      headName(site - 1, head),
    ];
    for (const part of of(next)) {
      const picture = await read(part);
      for (const name of part.heads) ready.set(name, picture);
      mergeReady(lacking()); // which somebody may have chosen meanwhile
    }
  };

  const mergeReady = (names: string[]) => {
    const known = new Set(names.flatMap((name) => ready.get(name) ?? []));
    for (const name of names) ready.delete(name);
    if (known.size) merge(known);
  };

  const { sites } = store.outline.peek();
  const ofHeads = [...parts].flatMap(({ heads }) => heads).map((name) => sites[Number(name.split(":")[0])]);
  const isSmall = ofHeads.reduce((sum, site) => sum + (site ? site.nQueries * site.nKeys : 0), 0) <= AHEAD_WEIGHTS;
  const stop = effect(() => {
    const names = lacking();
    const wanted = of(names);
    mergeReady(names);
    if (wanted.length) attempt(async () => merge(await Promise.all(wanted.map(read))));
    else if (!isSmall) attempt(readNext);
  });
  signal.addEventListener("abort", stop, { once: true });
  if (isSmall) requestAnimationFrame(() => attempt(readAll)); // when the first picture was drawn
}

function partsBehind(data: HTMLElement): Part[] {
  const found: Part[] = [];
  for (let element = data.nextElementSibling; element; element = element.nextElementSibling) {
    if (!(element instanceof HTMLElement) || element.tagName === data.previousElementSibling?.tagName) break;
    const { heads } = element.dataset;
    if (heads !== undefined) found.push({ heads: heads.split(" "), element });
  }
  return found;
}

/** Lets the page do other things. */
const pause = () => new Promise((done) => setTimeout(done));
