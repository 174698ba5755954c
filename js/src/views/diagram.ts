/** The network as a diagram: what is lit is what the selected site does at this step; a click chooses another site. */
import { computed, signal as state, type ReadonlySignal } from "@preact/signals-core";
import { html, setStyle, setText, svg } from "../dom.ts";
import { take } from "../keys.ts";
import { row } from "../matrix.ts";
import type { Store } from "../store.ts";
import type { ArchitectureData, NodeData } from "../wire.gen.ts";
import { percent } from "../text.ts";
import { facesOf, insideOf, namesOf, nowOf, partsOf } from "./diagram-faces.ts";
import { type Box, CHEVRON_PX, HEADER, plan, type Plan, TITLE_PX } from "./diagram-layout.ts";
import type { Line } from "./diagram-lines.ts";
import { mountParts } from "./diagram-parts.ts";
import { measureIn, type Measure } from "./text-width.ts";
import { chooseSite } from "./site-choice.ts";
import type { View } from "./view.ts";

/** Less room than this is left empty, in CSS pixels. */
const LEAST_PX = 44;
/** Letters of the words at a line. */
const WORDS_PX = 11;
/** Widths of lines in CSS pixels: where nothing flows at this step, and for weights from 0 to 1. */
const THIN = 1.25;
const LIT = [1.75, 6.5] as const;

export const diagram: View = {
  name: "diagram",
  mount(host, store, layout, signal) {
    const drawing = svg("svg", "diagram-drawing", { role: "group", "aria-label": store.words.diagram });
    const faces = html("div", "diagram-faces", { "aria-hidden": "true" }); // the blocks are called as they say
    const scroll = html("div", "diagram-scroll", {}, drawing, faces);
    const parts = html("div", "diagram-parts", { role: "group" });
    host.append(scroll, parts);
    const opened = state("");
    const measure = measureIn(host);
    const width = computed(() => layout.value.width);
    let last: Plan | undefined;
    const current = computed(() => {
      const outline = store.outline.value;
      const next = plan(facesOf(outline, store.words), outline.architecture.edges, width.value, measure);
      last = JSON.stringify(next) === JSON.stringify(last) ? last : next; // rows that come change nothing in it
      return last ?? next;
    });
    const architecture = computed(() => store.outline.value.architecture);
    const act = (id: string, toggles = false) => {
      const node = architecture.value.nodes.find((it) => it.id === id);
      if (!node) return;
      if (node.kind === "attention" && !toggles) chooseSite(store, nearestSite(store, node));
      else if (partsOf(architecture.value, id).length) opened.value = opened.value === id ? "" : id;
    };
    handle(host, store, architecture, act, signal);
    mountParts(parts, store, opened, signal);
    let drawn: Plan | undefined;
    store.draw(signal, () => {
      const shown = current.value;
      host.toggleAttribute("hidden", !store.diagram.value || !shown.boxes.length);
      if (shown !== drawn) {
        drawing.replaceChildren(...nodesOf(shown));
        faces.replaceChildren(...shown.boxes.map(faceNode), ...shown.lines.map(() => html("div", "diagram-words")));
      }
      drawn = shown;
      drawing.setAttribute("width", String(shown.width));
      drawing.setAttribute("height", String(shown.height));
      if (!host.querySelector('[tabindex="0"]')) drawing.querySelector("[data-stop]")?.setAttribute("tabindex", "0");
      light(drawing, faces, shown, architecture.value, store, opened.value, measure);
    });
  },
};

/** The site of an attention that is nearest to the layer that is selected; the selected one where it is in it. */
function nearestSite(store: Store, node: NodeData): number {
  const { sites } = store.outline.value;
  const inside = insideOf(node, sites);
  const { site } = store.selection.value;
  if (inside.includes(site)) return site;
  const layer = sites[site]?.layer ?? 0;
  return inside.find((i) => sites[i]?.layer === layer) ?? inside[0] ?? site;
}

function handle(
  host: HTMLElement,
  store: Store,
  architecture: ReadonlySignal<ArchitectureData>,
  act: (id: string, toggles?: boolean) => void,
  signal: AbortSignal,
): void {
  const idAt = (event: Event) => (event.target as Element).closest<SVGElement>("[data-node]")?.dataset.node;
  const spot = (event: Event) => {
    const id = idAt(event);
    const node = architecture.value.nodes.find((it) => it.id === id);
    const strips = node ? namesOf(node, store.outline.value.sites) : [];
    if (strips.join() !== store.spot.value.join()) store.spot.value = strips;
  };
  const leave = () => (store.spot.value = []);
  host.addEventListener("pointerover", spot, { signal });
  host.addEventListener("focusin", spot, { signal });
  host.addEventListener("pointerleave", leave, { signal });
  host.addEventListener("focusout", leave, { signal });
  host.addEventListener(
    "click",
    (event) => {
      const id = idAt(event);
      if (id !== undefined) act(id, Boolean((event.target as Element).closest("[data-chevron]")));
    },
    { signal },
  );
  host.addEventListener(
    "keydown",
    (event) => {
      const stops = [...host.querySelectorAll<HTMLElement | SVGElement>("[data-stop]")];
      const at = stops.indexOf(event.target as HTMLElement);
      const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      const next = stops[event.key === "Home" ? 0 : event.key === "End" ? stops.length - 1 : at + (by ?? 0)];
      const id = idAt(event);
      if (at < 0) return;
      if (by || event.key === "Home" || event.key === "End") {
        for (const stop of stops) stop.setAttribute("tabindex", stop === (next ?? stops[at]) ? "0" : "-1");
        next?.focus();
      } else if ((event.key === "Enter" || event.key === " ") && id !== undefined) act(id);
      else return;
      take(event);
    },
    { signal },
  );
}

/** The nodes of a plan, without what changes from step to step; lines lie on towers, and other boxes on lines. */
function nodesOf({ boxes, lines }: Plan): SVGElement[] {
  const towers = boxes.filter((box) => box.kind === "tower");
  const others = boxes.filter((box) => box.kind !== "tower");
  return [...towers.map(boxNode), ...lines.map(lineNode), ...others.map(boxNode)];
}

function boxNode(box: Box): SVGElement {
  const { x, y, width, height } = box;
  const tower = box.kind === "tower";
  const acts = box.opens || box.kind === "attention";
  const [cx, cy] = [x + width - 13, tower ? y + 12 : y + height / 2];
  return svg(
    "g",
    "diagram-block",
    {
      "data-node": box.id,
      "data-kind": box.kind,
      role: acts ? "button" : "img",
      tabindex: -1,
      "data-stop": true,
      "data-lm-suppress-shortcuts": "true",
    },
    svg("title", ""),
    svg("rect", "diagram-box", { x, y, width, height, rx: tower ? 7 : 5 }),
    box.opens
      ? svg(
          "g",
          "diagram-chevron",
          { "data-chevron": true },
          svg("rect", "diagram-chevron-room", {
            x: cx - 11,
            y: tower ? y : y + 1,
            width: 24,
            height: tower ? HEADER - 1 : height - 2,
          }),
          svg("path", "diagram-chevron-mark", { d: `M${cx - 3.5} ${cy - 2}l3.5 4l3.5 -4` }),
        )
      : null,
  );
}

/** The words of a box, on ground of their own, so that nothing shines through them. */
function faceNode(box: Box): HTMLElement {
  const tower = box.kind === "tower";
  const node = html("div", "diagram-face", { "data-kind": box.kind });
  const title = html("div", "diagram-title");
  node.append(title, html("div", "diagram-detail"));
  if (tower) title.style.maxWidth = `${box.width - box.words.x - CHEVRON_PX}px`;
  Object.assign(node.style, {
    left: `${box.x + (tower ? box.words.x : 4)}px`,
    top: `${box.y + 3}px`,
    width: `${tower ? box.words.room : box.width - 8 - (box.opens ? CHEVRON_PX : 0)}px`,
    height: `${(tower ? HEADER : box.height) - 6}px`,
  });
  return node;
}

function lineNode(line: Line): SVGElement {
  const head = svg("path", "diagram-head-of-line", { d: line.head });
  const path = svg("path", "diagram-line", { d: line.d, "data-kind": line.kind });
  return svg("g", "diagram-edge", { "data-edge": `${line.source}-${line.target}` }, svg("title", ""), path, head);
}

/** Shows what the selected site does at the gazed step. */
function light(
  drawing: SVGElement,
  faces: HTMLElement,
  { boxes, lines }: Plan,
  architecture: ArchitectureData,
  store: Store,
  opened: string,
  measure: Measure,
): void {
  const { site, matrix } = store.slice.value;
  const now = nowOf(architecture, site, store);
  const most = row(matrix, store.gaze.value.query).reduce((m, w) => (w > m && w <= 1 ? w : m), 0);
  const groups = new Map(
    [...drawing.children].map((node) => [(node as SVGElement).dataset.node ?? (node as SVGElement).dataset.edge, node]),
  );
  for (const [i, box] of boxes.entries()) {
    const group = groups.get(box.id);
    const said = now.texts.get(box.id) ?? { title: box.title, detail: box.detail, about: box.title };
    if (!group) continue;
    const [about] = group.children;
    const face = faces.children[i];
    const [title, detail] = face?.children ?? [];
    const left = box.kind === "tower" ? box.words.room - measure(said.title, TITLE_PX) - 10 : LEAST_PX;
    if (title) setText(title, said.title);
    if (detail) setText(detail, left < LEAST_PX ? "" : said.detail);
    if (about) setText(about, said.about);
    for (const node of [group, face]) node?.toggleAttribute("data-lit", now.lit.has(box.id));
    group.toggleAttribute("data-open", box.id === opened);
    if (box.opens) group.setAttribute("aria-expanded", String(box.id === opened));
    if (box.kind === "attention") group.setAttribute("aria-pressed", String(now.lit.has(box.id)));
  }
  for (const [i, line] of lines.entries()) {
    const group = groups.get(`${line.source}-${line.target}`);
    if (!group) continue;
    const [about, path] = group.children;
    const lit = now.lines.has(`${line.source}-${line.target}`);
    const carries = lit && line.kind !== "query" && line.kind !== "gate";
    group.toggleAttribute("data-lit", lit);
    path?.setAttribute("stroke-width", String(carries ? LIT[0] + (LIT[1] - LIT[0]) * most : lit ? LIT[0] : THIN));
    if (about) setText(about, carries ? store.words.strongestShare(percent(most)) : "");
    const words = line.kind === "query" ? store.words.queryWith[now.asks(line)] : line.kind === "gate" ? "×" : "";
    const text = faces.children[boxes.length + i];
    if (!(text instanceof HTMLElement)) continue;
    setText(text, words);
    const shift = { start: 0, middle: measure(words, WORDS_PX) / 2, end: measure(words, WORDS_PX) }[line.label.anchor];
    setStyle(text, { left: `${line.label.x - shift}px`, top: `${line.label.y - WORDS_PX}px` });
  }
}
