/** The script of an exported page: the same views on a picture that lies in the page. */
import type { Selection } from "./selection.ts";
import { createStore } from "./store.ts";
import { watchTheme } from "./theme.ts";
import { mount } from "./views/index.ts";
import { inflate, readPicture, toBytes } from "./wire.ts";

/** Filled in by the kernel: an element with the compressed picture in base64, and where to draw. */
const DATA = "attnwidget-data";
const HOST = "attnwidget-host";

async function start(): Promise<void> {
  const data = document.getElementById(DATA);
  const host = document.getElementById(HOST);
  if (!data || !host) return;
  const { signal } = new AbortController();
  const store = createStore(watchTheme(signal));
  mount(host, store, signal);
  try {
    const picture = readPicture(await inflate(toBytes((data.textContent ?? "").trim())));
    store.merge(picture);
    store.select(JSON.parse(data.dataset.selection ?? "{}") as Partial<Selection>);
  } catch (error) {
    store.problem.value = error instanceof Error ? error.message : String(error);
  }
}

void start();
