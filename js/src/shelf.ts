/** Pictures that lie in an exported page: the first of them are read ahead, others when somebody looks at them. */
import { batch, effect } from "@preact/signals-core";
import { nCells } from "./blocks.ts";
import { bytesOf, inflate } from "./packed.ts";
import type { Store } from "./store.ts";
import { AHEAD_WEIGHTS, MEAN } from "./wire.gen.ts";
import { readPicture, type Picture } from "./wire.ts";

interface Part {
  /** names of the heads of which it has weights */
  heads: string[];
  /** its text, until it became bytes */
  element: HTMLElement;
  bytes: Uint8Array | null;
}

/** Takes up the pictures that stand behind an element, up to the next one that something is drawn in. */
export function createShelf(data: HTMLElement, store: Store, signal: AbortSignal): void {
  const parts = new Set(partsBehind(data));

  const read = async (part: Part): Promise<Picture> => {
    parts.delete(part);
    return readPicture(await inflate(taken(part)));
  };
  const merge = (pictures: Picture[]) => batch(() => pictures.forEach((picture) => store.merge(picture)));
  const attempt = (job: () => Promise<void>) =>
    void job().catch((error: unknown) => {
      store.problem.value = error instanceof Error ? error.message : String(error);
    });

  /** Heads that are looked at and not here. */
  const lacking = (): string[] => {
    const { site, head } = store.selection.value;
    if (store.matrix(site, head)) return [];
    const { nHeads = 0 } = store.outline.value.sites[site] ?? {};
    const heads = head === MEAN ? [MEAN, ...Array(nHeads).keys()] : [head];
    return heads.map((each) => `${site}:${each}`);
  };

  const readAhead = async () => {
    const found: Picture[] = [];
    let room = AHEAD_WEIGHTS;
    for (const part of parts) {
      await pause();
      if (signal.aborted) return;
      if (!parts.has(part)) continue;
      if (room <= 0) taken(part);
      else {
        const picture = await read(part);
        found.push(picture);
        room -= picture.blocks.reduce((sum, { queries, keys }) => sum + nCells(queries) * nCells(keys), 0);
      }
    }
    merge(found); // at once: every view draws anew
  };

  const stop = effect(() => {
    const names = lacking();
    const wanted = [...parts].filter(({ heads }) => heads.some((name) => names.includes(name)));
    if (wanted.length) attempt(async () => merge(await Promise.all(wanted.map(read))));
  });
  signal.addEventListener("abort", stop, { once: true });
  requestAnimationFrame(() => attempt(readAhead)); // when what is looked at was drawn
}

function partsBehind(data: HTMLElement): Part[] {
  const found: Part[] = [];
  for (let element = data.nextElementSibling; element; element = element.nextElementSibling) {
    if (!(element instanceof HTMLElement) || element.tagName === data.previousElementSibling?.tagName) break;
    const { heads } = element.dataset;
    if (heads !== undefined) found.push({ heads: heads.split(" "), element, bytes: null });
  }
  return found;
}

/** The bytes of a part; its text, which takes more than twice as many, is let go. */
function taken(part: Part): Uint8Array {
  part.bytes ??= bytesOf(part.element.textContent);
  part.element.textContent = "";
  part.element.remove();
  return part.bytes;
}

/** Lets the page do other things. */
const pause = () => new Promise((done) => setTimeout(done));
