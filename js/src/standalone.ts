/** The script of an exported page: the same views on a picture that lies in the page. */
import type { Selection } from "./selection.ts";
import { createStore } from "./store.ts";
import { watchTheme } from "./theme.ts";
import { mount } from "./views/index.ts";
import { inflate, readPicture, toBytes } from "./wire.ts";

/** Pictures that the kernel put into the page: compressed, in base64, each behind the element that it is drawn in. */
const DATA = 'script[type="text/plain"][data-selection]';

async function start(data: HTMLElement): Promise<void> {
  const host = data.previousElementSibling;
  if (!(host instanceof HTMLElement)) return;
  const { signal } = new AbortController();
  const store = createStore(watchTheme(signal), document.documentElement.lang);
  mount(host, store, signal);
  try {
    const picture = readPicture(await inflate(toBytes((data.textContent ?? "").trim())));
    store.merge(picture);
    store.select(JSON.parse(data.dataset.selection ?? "{}") as Partial<Selection>);
  } catch (error) {
    store.problem.value = error instanceof Error ? error.message : String(error);
  }
}

for (const data of document.querySelectorAll<HTMLElement>(DATA)) void start(data);
