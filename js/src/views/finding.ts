/** Finding one's way in long strips: a search, the strongest input, and where in the whole the heatmap is. */
import { heading, html, setEnabled, setText } from "../dom.ts";
import { take } from "../keys.ts";
import { row, strongest } from "../matrix.ts";
import { around, type Window } from "../scales.ts";
import type { Store } from "../store.ts";
import { minimap } from "./minimap.ts";
import { oneStop } from "./stops.ts";

/** Strips that are shorter are seen at once. */
const LONG = 24;
/** Tokens around one that was found, where nothing smaller is shown already. */
const NEAR = 32;

interface Place {
  axis: "keys" | "queries";
  token: number;
}

/** Places of all tokens that hold a text; in the keys first, in the queries where these are other tokens. */
export function placesOf(keys: string[], queries: string[], text: string): Place[] {
  const sought = text.toLowerCase();
  if (!sought) return [];
  const within = (axis: Place["axis"], texts: string[]) => {
    const found: Place[] = [];
    for (let token = 0; token < texts.length; token++)
      if (texts[token]?.toLowerCase().includes(sought)) found.push({ axis, token });
    return found;
  };
  return [...within("keys", keys), ...(queries === keys ? [] : within("queries", queries))];
}

export function finding(store: Store, root: () => Element | null, signal: AbortSignal): HTMLElement {
  const input = html("input", "search", {
    type: "search",
    placeholder: store.words.find,
    "aria-label": store.words.find,
  });
  const count = html("span", "search-count", { "aria-live": "polite" });
  const best = html("button", "text-button", { type: "button" }, store.words.toStrongest);
  const section = html(
    "div",
    "step",
    { role: "toolbar", "aria-label": store.words.finding },
    heading(store.words.finding),
    html("div", "search-row", {}, input, count),
    best,
  );
  section.append(minimap(store, signal));
  oneStop(section, signal);
  let at = -1;
  let from: HTMLElement | null = null; // what had the focus before the search was asked for

  const found = () => {
    const { keys, queries } = store.slice.value;
    return placesOf(keys, queries, input.value);
  };
  const tell = () => {
    const n = input.value ? found().length : -1;
    setText(count, n < 0 ? "" : store.words.foundOf(at, n));
  };
  const go = (by: number) => {
    const places = found();
    if (places.length) {
      at = at < 0 ? (by > 0 ? 0 : places.length - 1) : (at + by + places.length) % places.length;
      const place = places[at];
      if (place) show(store, place);
    }
    tell();
  };
  input.addEventListener("input", () => ((at = -1), tell()), { signal });
  input.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Enter" && event.key !== "Escape") return;
      take(event);
      if (event.key === "Enter") return go(event.shiftKey ? -1 : 1);
      input.value = "";
      at = -1;
      tell();
      from?.focus();
    },
    { signal },
  );
  best.addEventListener(
    "click",
    () => {
      const [token] = strongest(row(store.slice.value.matrix, store.gaze.value.query), 1);
      if (token !== undefined) show(store, { axis: "keys", token });
    },
    { signal },
  );
  const onSlash = (event: Event) => {
    const key = event as KeyboardEvent;
    const isTyping = key.target instanceof HTMLInputElement && key.target.type === "search";
    if (key.key !== "/" || isTyping || section.hidden) return;
    take(key);
    from = key.target as HTMLElement;
    input.focus();
  };
  queueMicrotask(() => root()?.addEventListener("keydown", onSlash, { signal }));
  store.draw(signal, () => {
    const { keys, queries, matrix } = store.slice.value;
    section.toggleAttribute("hidden", Math.max(keys.length, queries.length, matrix.nKeys, matrix.nQueries) <= LONG);
    setEnabled(best, matrix.nQueries > 0);
  });
  return section;
}

/** Chooses a token, and moves the heatmap to it. */
function show(store: Store, { axis, token }: Place): void {
  const { matrix } = store.slice.value;
  const n = axis === "keys" ? matrix.nKeys : matrix.nQueries;
  const current = store.window.value[axis];
  const window: Window = n <= NEAR ? null : around(n, current?.count ?? NEAR, token);
  if (axis === "keys") store.select({ locked: [token] });
  else store.select({ step: token });
  store.window.value = { ...store.window.value, [axis]: window };
}
