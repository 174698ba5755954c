/** How the picture is drawn: a drop-down list for each choice, and the zoom. */
import { heading, html, select, setEnabled, setOptions, setText } from "../dom.ts";
import { row, strongest } from "../matrix.ts";
import { zoomed } from "../scales.ts";
import type { Selection } from "../selection.ts";
import type { Links, Store } from "../store.ts";
import { percent } from "../text.ts";
import { oneStop } from "./stops.ts";
import { axisName } from "./strip.ts";

/** Zooming ends at this many tokens. */
const LEAST_WINDOW = 4;

export function choices(store: Store, signal: AbortSignal): HTMLElement {
  const links = select(store.words.links);
  links.control.addEventListener("change", () => (store.links.value = links.control.value as Links), { signal });
  store.draw(signal, () => setOptions(links.control, Object.entries(store.words.linkChoices), store.links.value));
  const { own, ...others } = store.words.expectationChoices;
  const expectations = () => (store.selection.value.expected.length ? { ...others, own } : others);
  const bar = html(
    "div",
    "step attnwidget-view",
    { role: "toolbar", "aria-label": store.words.view },
    heading(store.words.view),
    links.field,
    veil(store, signal, links.field),
    choice(store, signal, "scale", store.words.scale, () => store.words.scaleChoices),
    choice(store, signal, "strength", store.words.strength, () => store.words.strengthChoices),
    choice(store, signal, "expectation", store.words.expectation, expectations),
    choice(store, signal, "special", store.words.special, () => store.words.specialChoices),
    choice(store, signal, "rows", store.words.rows, () =>
      store.words.rowChoices(axisName(store, "query"), axisName(store, "key")),
    ),
    zoom(store, signal),
  );
  oneStop(bar, signal);
  return bar;
}

/** A drop-down list for one field of the selection. */
function choice(
  store: Store,
  signal: AbortSignal,
  name: "scale" | "strength" | "expectation" | "special" | "rows",
  label: string,
  texts: () => Record<string, string>,
): HTMLElement {
  const { field, control } = select(label);
  const choose = () => store.select({ [name]: control.value } as Partial<Selection>);
  control.addEventListener("change", choose, { signal });
  store.draw(signal, () => setOptions(control, Object.entries(texts()), store.selection.value[name]));
  return field;
}

/** How much of a picture is covered where there is no weight. */
function veil(store: Store, signal: AbortSignal, links: HTMLElement): HTMLElement {
  const control = html("input", "slider", {
    type: "range",
    min: 0,
    max: 1,
    step: 0.05,
    "aria-label": store.words.veil,
  });
  const field = html("label", "field", {}, html("span", "field-name", {}, store.words.veil), control);
  control.addEventListener("input", () => (store.veil.value = control.valueAsNumber), { signal });
  store.draw(signal, () => {
    const { keyScene, queryScene } = store.slice.value;
    field.toggleAttribute("hidden", !(keyScene ?? queryScene));
    links.toggleAttribute("hidden", Boolean(keyScene ?? queryScene));
    control.value = String(store.veil.value);
    control.style.setProperty("--attnwidget-done", `${100 * store.veil.value}%`);
    control.setAttribute("aria-valuetext", percent(store.veil.value));
  });
  return field;
}

function zoom(store: Store, signal: AbortSignal): HTMLElement {
  const closer = html("button", "text-button", { type: "button" }, store.words.zoomIn);
  const whole = html("button", "text-button", { type: "button" }, store.words.zoomOut);
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
    setText(diagram, store.diagram.value ? store.words.hideDiagram : store.words.showDiagram);
    diagram.toggleAttribute("hidden", !store.outline.value.architecture.nodes.length);
    setEnabled(whole, Boolean(keys || queries));
    setEnabled(closer, Math.max(keys?.count ?? nKeys, queries?.count ?? nQueries) > LEAST_WINDOW);
  });
  return html("div", "zoom", {}, closer, whole, diagram);
}
