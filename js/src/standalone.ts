/** The script of an exported page: the same views on pictures that lie in the page. */
import { inflate, taken } from "./packed.ts";
import type { Selection } from "./selection.ts";
import { createShelf } from "./shelf.ts";
import { createStore } from "./store.ts";
import { watchTheme } from "./theme.ts";
import { mount } from "./views/index.ts";
import { readPicture } from "./wire.ts";

/** What the kernel put into the page, each behind the element that it is drawn in. */
const DATA = 'script[type="text/plain"][data-selection]';

async function start(data: HTMLElement): Promise<void> {
  const host = data.previousElementSibling;
  if (!(host instanceof HTMLElement)) return;
  const { signal } = new AbortController();
  const store = createStore(watchTheme(signal), document.documentElement.lang);
  try {
    store.merge(readPicture(await inflate(taken(data))));
    store.select(JSON.parse(data.dataset.selection ?? "{}") as Partial<Selection>);
  } catch (error) {
    store.problem.value = error instanceof Error ? error.message : String(error);
  }
  mount(host, store, signal);
  if (document.readyState === "loading")
    await new Promise((done) => document.addEventListener("DOMContentLoaded", done, { once: true }));
  createShelf(data, store, signal);
}

for (const data of document.querySelectorAll<HTMLElement>(DATA)) void start(data);
