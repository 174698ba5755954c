/** A block of the diagram, opened: its layers with their heads, and the modules that it is made of. */
import type { Signal } from "@preact/signals-core";
import { heading, html, setText } from "../dom.ts";
import type { Store } from "../store.ts";
import type { NodeData } from "../wire.gen.ts";
import { shown } from "../text.ts";
import { attentionTitle, insideOf, partsOf } from "./diagram-faces.ts";
import { chooseSite } from "./site-choice.ts";

/** Heads of a site beyond this many are not drawn one by one. */
const MOST_HEADS = 128;

export function mountParts(host: HTMLElement, store: Store, opened: Signal<string>, signal: AbortSignal): void {
  host.addEventListener(
    "click",
    (event) => {
      const button = (event.target as Element).closest<HTMLElement>("[data-site]");
      if (button)
        chooseSite(
          store,
          Number(button.dataset.site),
          button.dataset.head === undefined ? undefined : Number(button.dataset.head),
        );
    },
    { signal },
  );
  let made = "";
  store.draw(signal, () => {
    const { architecture, sites } = store.outline.value;
    const node = architecture.nodes.find((it) => it.id === opened.value);
    const now = node ? JSON.stringify([architecture.nodes.length, node, sites.length]) : "";
    host.toggleAttribute("hidden", !node);
    if (now !== made) host.replaceChildren(...(node ? contents(store, node) : []));
    made = now;
    const { site, head } = store.selection.value;
    for (const button of host.querySelectorAll<HTMLElement>("[data-site]")) {
      const own = button.dataset.head;
      const chosen = Number(button.dataset.site) === site && (own === undefined || Number(own) === head);
      button.toggleAttribute("data-lit", chosen);
      button.setAttribute("aria-pressed", String(chosen));
    }
  });
}

function contents(store: Store, node: NodeData): HTMLElement[] {
  const { architecture, sites } = store.outline.value;
  const children = partsOf(architecture, node.id);
  const attentions = children.filter((child) => child.kind === "attention");
  const title = heading(
    shown(node.label || store.words.towers[sites[insideOf(node, sites)[0] ?? 0]?.kind ?? "encoder"]),
  );
  const layers = html("div", "diagram-layers");
  const n = Math.max(0, ...attentions.map((child) => child.sites.length));
  for (let layer = 0; layer < n; layer++) {
    const line = html("div", "diagram-layer", {}, html("span", "diagram-layer-name", {}, store.words.layerAt(layer)));
    for (const child of attentions) {
      const index = insideOf(child, sites)[layer];
      if (index !== undefined) line.append(siteButton(store, index), headButtons(store, index));
    }
    layers.append(line);
  }
  const list = html("dl", "diagram-modules");
  const listed = children.flatMap((child) =>
    child.kind === "part" ? [child] : [child, ...partsOf(architecture, child.id)],
  );
  for (const part of listed) {
    const inner = part.parent !== node.id;
    const name =
      part.kind === "attention"
        ? attentionTitle(part, sites[insideOf(part, sites)[0] ?? 0], store.words)
        : shown(part.label);
    const line = html(
      "div",
      "diagram-module",
      { "data-inner": inner },
      html("dt", ""),
      html("dd", ""),
      html("dd", "diagram-shape"),
    );
    const texts = [name, part.detail && shown(part.detail), part.shape && store.words.reads(shown(part.shape))];
    for (const [i, cell] of [...line.children].entries()) setText(cell, texts[i] ?? "");
    list.append(line);
  }
  return [title, ...(n ? [layers] : []), ...(listed.length ? [list] : [])];
}

const stop = { type: "button", tabindex: -1, "data-stop": true } as const;

function siteButton(store: Store, index: number): HTMLElement {
  const site = store.outline.value.sites[index];
  const name = site ? store.words.attentions[site.kind] : store.words.attention;
  return html("button", "diagram-site", { ...stop, "data-site": index, title: shown(site?.name ?? "") }, name);
}

function headButtons(store: Store, index: number): HTMLElement {
  const nHeads = store.outline.value.sites[index]?.nHeads ?? 1;
  const group = html("span", "diagram-heads");
  for (let head = 0; nHeads > 1 && head < Math.min(nHeads, MOST_HEADS); head++) {
    const label = `${store.words.head} ${store.words.headOf(head, nHeads)}`;
    group.append(
      html("button", "diagram-head", {
        ...stop,
        "data-site": index,
        "data-head": head,
        title: label,
        "aria-label": label,
      }),
    );
  }
  return group;
}
