/** Beside the picture: the candidates of the step, numbers read off the row, and how to draw. */
import { html, select, setCount, setEnabled, setOptions, setText } from "../dom.ts";
import { entropy, row, strength, strongest } from "../matrix.ts";
import { zoomed } from "../scales.ts";
import type { Expectation, Links, Scale, Store } from "../store.ts";
import { isMask } from "../wire.ts";
import { percent, short, shown, words } from "../words.ts";
import { remarksOf } from "./flags.ts";
import { sentence } from "./sentence.ts";
import type { View } from "./view.ts";

const MAX_CANDIDATES = 6;
/** Zooming ends at this many tokens. */
const LEAST_WINDOW = 4;

export const panel: View = {
  name: "panel",
  mount(host, store, layout, signal) {
    const said = html("section", "sentence");
    host.append(
      candidates(store, signal),
      said,
      reading(store, signal),
      choices(store, signal),
      remarks(store, signal),
      html("p", "note", {}, words.suggests),
    );
    sentence.mount(said, store, layout, signal);
  },
};

const heading = (text: string) => html("h4", "heading", {}, text);

function candidates(store: Store, signal: AbortSignal): HTMLElement {
  const list = html("ul", "candidates");
  const title = heading(words.thisStep);
  store.draw(signal, () => {
    const rows = candidatesOf(store);
    const told = (store.outline.value.steps[store.gaze.value.query]?.candidates.length ?? 0) > 0;
    setText(title, told ? words.thisStep : words.strongestInputs);
    list.setAttribute("aria-label", told ? words.candidates : words.strongestInputs);
    const nodes = setCount(list, rows.length, () =>
      html(
        "li",
        "candidate",
        {},
        html("span", "candidate-token"),
        html("span", "candidate-track", {}, html("span", "candidate-bar")),
        html("span", "candidate-number"),
      ),
    );
    for (const [i, node] of nodes.entries()) {
      const [token = "", share = 0, chosen = false] = rows[i] ?? [];
      const [name, track, number] = node.children as unknown as HTMLElement[];
      const bar = track?.firstElementChild as HTMLElement | null;
      if (!name || !number || !bar) continue;
      setText(name, shown(token));
      setText(number, percent(share));
      bar.style.width = `${100 * Math.max(0, Math.min(1, share))}%`;
      node.toggleAttribute("data-chosen", chosen);
    }
  });
  return html("section", "step", {}, title, list);
}

/** The step's candidates, or its strongest inputs where the decode loop told none: token, share, chosen. */
function candidatesOf(store: Store): [string, number, boolean][] {
  const { site, matrix, keys } = store.slice.value;
  const { query } = store.gaze.value;
  const step = site?.query === "target" ? store.outline.value.steps[query] : undefined;
  if (step?.candidates.length)
    return step.candidates
      .slice(0, MAX_CANDIDATES)
      .map(({ token, probability }) => [token, probability, token === step.token]);
  const weights = row(matrix, query);
  return strongest(weights, 4).map((key, i) => [keys[key] ?? "", weights[key] ?? 0, i === 0]);
}

function reading(store: Store, signal: AbortSignal): HTMLElement {
  const list = html("dl", "reading");
  store.draw(signal, () => {
    const lines = readingOf(store);
    const nodes = setCount(list, lines.length, () => html("div", "reading-line", {}, html("dt", ""), html("dd", "")));
    for (const [i, node] of nodes.entries()) {
      const [name, value] = node.children;
      if (name) setText(name, lines[i]?.[0] ?? "");
      if (value) setText(value, lines[i]?.[1] ?? "");
    }
  });
  return html("section", "step", {}, heading(words.reading), list);
}

function readingOf(store: Store): [string, string][] {
  const { site, matrix, keys } = store.slice.value;
  const { query, keys: gazed } = store.gaze.value;
  if (!matrix.nQueries) return [];
  const weights = row(matrix, query);
  const received = strength(matrix, query + 1).subarray(0, store.nRead.value);
  const key = gazed[0] ?? strongest(weights, 1)[0];
  const weakest = received.reduce((least, value, k) => (value < (received[least] ?? 0) ? k : least), 0);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return [
    ...(site && isMask(site) ? [] : [[words.entropy, words.bits(short(entropy(weights)))] as [string, string]]),
    ...(key === undefined
      ? []
      : [[words.strengthOf(shown(keys[key] ?? "", 14)), short(received[key] ?? 0)] as [string, string]]),
    [words.weakest, `“${shown(keys[weakest] ?? "", 14)}” ${short(received[weakest] ?? 0)}`],
    [words.rowsSum, Number.isFinite(sum) ? sum.toFixed(3).replace("-", "−") : "NaN"],
    ...(site?.asks ? [[words.asks, words.asksWith[site.asks]] as [string, string]] : []),
  ];
}

function choices(store: Store, signal: AbortSignal): HTMLElement {
  const links = select(words.links);
  const scale = select(words.scale);
  const expectation = select(words.expectation);
  links.control.addEventListener("change", () => (store.links.value = links.control.value as Links), { signal });
  scale.control.addEventListener("change", () => store.select({ scale: scale.control.value as Scale }), { signal });
  expectation.control.addEventListener(
    "change",
    () => store.select({ expectation: expectation.control.value as Expectation }),
    { signal },
  );
  store.draw(signal, () => {
    setOptions(links.control, Object.entries(words.linkChoices), store.links.value);
    setOptions(scale.control, Object.entries(words.scaleChoices), store.selection.value.scale);
    setOptions(expectation.control, Object.entries(words.expectationChoices), store.selection.value.expectation);
  });
  return html(
    "section",
    "step attnwidget-view",
    {},
    heading(words.view),
    links.field,
    scale.field,
    expectation.field,
    zoom(store, signal),
  );
}

function zoom(store: Store, signal: AbortSignal): HTMLElement {
  const closer = html("button", "text-button", { type: "button" }, words.zoomIn);
  const whole = html("button", "text-button", { type: "button" }, words.zoomOut);
  closer.addEventListener(
    "click",
    () => {
      const { matrix } = store.slice.value;
      const { query, keys } = store.gaze.value;
      const centre = keys[0] ?? strongest(row(matrix, query), 1)[0] ?? 0;
      const { keys: columns, queries: rows } = store.window.value;
      store.window.value = {
        keys: zoomed(matrix.nKeys, columns, 0.5, centre),
        queries: zoomed(matrix.nQueries, rows, 0.5, query),
      };
    },
    { signal },
  );
  const diagram = html("button", "text-button", { type: "button" });
  diagram.addEventListener("click", () => (store.diagram.value = !store.diagram.value), { signal });
  whole.addEventListener("click", () => (store.window.value = { keys: null, queries: null }), { signal });
  store.draw(signal, () => {
    const { keys, queries } = store.window.value;
    const { nKeys, nQueries } = store.slice.value.matrix;
    setText(diagram, store.diagram.value ? words.hideDiagram : words.showDiagram);
    diagram.toggleAttribute("hidden", !store.outline.value.architecture.nodes.length);
    setEnabled(whole, Boolean(keys || queries));
    setEnabled(closer, Math.max(keys?.count ?? nKeys, queries?.count ?? nQueries) > LEAST_WINDOW);
  });
  return html("div", "zoom", {}, closer, whole, diagram);
}

function remarks(store: Store, signal: AbortSignal): HTMLElement {
  const line = html("p", "note attnwidget-remarks", { role: "status" });
  store.draw(signal, () => setText(line, remarksOf(store).join(" · ")));
  return line;
}
