/** Beside the picture: the candidates of the step, numbers read off the row, and how to draw. */
import { heading, html, setCount, setText } from "../dom.ts";
import { row, strongest } from "../matrix.ts";
import type { Store } from "../store.ts";
import type { Step } from "../wire.ts";
import { percent, shown } from "../text.ts";
import { choices } from "./choices.ts";
import { remarksOf } from "./flags.ts";
import { finding } from "./finding.ts";
import { reading } from "./reading.ts";
import { sentence } from "./sentence.ts";
import type { View } from "./view.ts";

const MAX_CANDIDATES = 6;

export const panel: View = {
  name: "panel",
  mount(host, store, layout, signal) {
    const said = html("section", "sentence");
    host.append(
      candidates(store, signal),
      said,
      reading(store, signal),
      finding(store, () => host.closest(".attnwidget"), signal),
      choices(store, signal),
      remarks(store, signal),
      html("p", "note", {}, store.words.suggests),
    );
    sentence.mount(said, store, layout, signal);
  },
};

function candidates(store: Store, signal: AbortSignal): HTMLElement {
  const list = html("ul", "candidates");
  const title = heading(store.words.thisStep);
  store.draw(signal, () => {
    const rows = candidatesOf(store);
    const told = chosenStep(store)?.candidates.length;
    setText(title, told ? store.words.thisStep : store.words.strongestInputs);
    list.setAttribute("aria-label", told ? store.words.candidates : store.words.strongestInputs);
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
  const { matrix, keys } = store.slice.value;
  const { query } = store.gaze.value;
  const step = chosenStep(store);
  if (step?.candidates.length)
    return step.candidates
      .slice(0, MAX_CANDIDATES)
      .map(({ token, probability }) => [token, probability, token === step.token]);
  const weights = row(matrix, query);
  return strongest(weights, 4).map((key, i) => [keys[key] ?? "", weights[key] ?? 0, i === 0]);
}

/** The decoder step that the gazed row is, if rows are steps. */
const chosenStep = (store: Store): Step | undefined =>
  store.slice.value.site?.query === "target" ? store.outline.value.steps[store.gaze.value.query] : undefined;

function remarks(store: Store, signal: AbortSignal): HTMLElement {
  const line = html("p", "note attnwidget-remarks", { role: "status" });
  store.draw(signal, () => setText(line, remarksOf(store).join(" · ")));
  return line;
}
