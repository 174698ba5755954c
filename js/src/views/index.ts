/** All views, in the order in which they stand. A new view is one file and one line here. */
import { effect, untracked } from "@preact/signals-core";
import { html } from "../dom.ts";
import { sameSpan } from "../large.ts";
import type { Store } from "../store.ts";
import controlsStyle from "../style/controls.css";
import diagramStyle from "../style/diagram.css";
import heatmapStyle from "../style/heatmap.css";
import panelStyle from "../style/panel.css";
import rootStyle from "../style/root.css";
import headsStyle from "../style/heads.css";
import strengthStyle from "../style/strength.css";
import sceneStyle from "../style/scene.css";
import stripsStyle from "../style/strips.css";
import tableStyle from "../style/table.css";
import whyStyle from "../style/why.css";
import { controls } from "./controls.ts";
import { diagram } from "./diagram.ts";
import { flags } from "./flags.ts";
import { grid } from "./grid.ts";
import { heatmap } from "./heatmap.ts";
import { columnsOf, watchLayout } from "./layout.ts";
import { links } from "./links.ts";
import { panel } from "./panel.ts";
import { strength } from "./strength.ts";
import { inputScene, outputScene } from "./scene.ts";
import { inputStrip, outputStrip } from "./strips.ts";
import { table } from "./table.ts";
import { tooltip } from "./tooltip.ts";
import type { View } from "./view.ts";
import { why } from "./why.ts";

const STYLES = [
  rootStyle,
  controlsStyle,
  diagramStyle,
  stripsStyle,
  sceneStyle,
  heatmapStyle,
  strengthStyle,
  panelStyle,
  whyStyle,
  tableStyle,
  headsStyle,
];
const PICTURE: View[] = [
  diagram,
  inputStrip,
  inputScene,
  links,
  outputStrip,
  outputScene,
  heatmap,
  strength,
  why,
  grid,
  table,
];

/** Draws everything into an element until the signal ends, and anew when another language is chosen. */
export function mount(host: HTMLElement, store: Store, signal: AbortSignal): void {
  adoptStyle(host);
  let life: AbortController | undefined;
  const stop = effect(() => {
    const language = store.language.value;
    life?.abort();
    life = new AbortController();
    const { signal: inner } = life;
    untracked(() => build(host, store, language, inner));
  });
  const end = () => {
    stop();
    life?.abort();
  };
  signal.addEventListener("abort", end, { once: true });
}

function build(host: HTMLElement, store: Store, language: string, signal: AbortSignal): void {
  const bar = html("div", "controls", { role: "toolbar", "aria-label": store.words.bar });
  const notes = html("div", "flags");
  const picture = html("div", "picture");
  const side = html("aside", "panel");
  const root = html(
    "div",
    "",
    { role: "group", tabindex: -1, lang: language, "aria-label": store.words.name },
    bar,
    notes,
    html("div", "body", {}, picture, side),
  );
  root.className = "attnwidget";
  host.append(root);
  signal.addEventListener("abort", () => root.remove(), { once: true });

  const stop = effect(() => {
    root.dataset.theme = store.dark.value ? "dark" : "light"; // at once, so that canvases read the new colours
  });
  signal.addEventListener("abort", stop, { once: true });

  const layout = watchLayout(picture, store, signal);
  const stopShowing = effect(() => {
    const { queries, keys } = layout.value;
    const shown = store.shown.peek();
    if (!shown || !sameSpan(shown.queries, queries) || !sameSpan(shown.keys, keys))
      store.shown.value = { queries, keys };
  });
  signal.addEventListener("abort", stopShowing, { once: true });
  controls.mount(bar, store, layout, signal);
  flags.mount(notes, store, layout, signal);
  for (const view of PICTURE) {
    const section = html("section", `view attnwidget-${view.name}`);
    picture.append(section);
    view.mount(section, store, layout, signal);
  }
  panel.mount(side, store, layout, signal);
  tooltip.mount(root, store, layout, signal);
  store.draw(signal, () => {
    const { left, turned } = layout.value;
    const columns = columnsOf(layout.value);
    const { keyScene, queryScene } = store.slice.value;
    picture.dataset.rows = turned ? "key" : "query";
    picture.toggleAttribute("data-scenes", Boolean(keyScene && queryScene));
    picture.style.setProperty("--attnwidget-left", `${left}px`);
    picture.style.setProperty("--attnwidget-right", `${left + columns.nCells * columns.size}px`);
  });
  store.draw(signal, () => {
    root.dataset.status = store.outline.value.status;
    root.dataset.rows = String(store.slice.value.matrix.nQueries);
    root.dataset.missing = String(store.nMissing.value);
    root.dataset.verified = store.verified.value;
  });
}

/** One constructed sheet a document or shadow root; a page that forbids inline styles takes it too. */
function adoptStyle(host: HTMLElement): void {
  const root = host.getRootNode();
  const scope = root instanceof ShadowRoot ? root : document;
  if (scope.adoptedStyleSheets.includes(style())) return;
  scope.adoptedStyleSheets = [...scope.adoptedStyleSheets, style()];
}

let constructed: CSSStyleSheet | undefined;
function style(): CSSStyleSheet {
  if (!constructed) {
    constructed = new CSSStyleSheet();
    constructed.replaceSync(STYLES.join("\n").replaceAll("$", "attnwidget-")); // which the build shortened
  }
  return constructed;
}
