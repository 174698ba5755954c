/** What is written in the blocks of the diagram, and which of them the selected site lights. */
import type { Outline } from "../outline.ts";
import type { Store } from "../store.ts";
import type { ArchitectureData, EdgeData, NodeData } from "../wire.gen.ts";
import { isMask, type Site } from "../wire.ts";
import { shown } from "../text.ts";
import type { Face } from "./diagram-layout.ts";
import type { Words } from "../words/index.ts";

export interface Text {
  title: string;
  detail: string;
  /** for whoever does not see the block, and on hovering it */
  about: string;
}

export interface Now {
  lit: Set<string>;
  /** lit edges, as source-target */
  lines: Set<string>;
  texts: Map<string, Text>;
  asks: (edge: EdgeData) => Site["asks"];
}

/** Characters. */
const MOST_LABEL = 40;
const MOST_TOKEN = 14;

/** The sites inside a block, as indices. */
export function insideOf(node: NodeData, sites: Site[]): number[] {
  const index = new Map(sites.map((site, i) => [site.name, i]));
  return node.sites.flatMap((name) => index.get(name) ?? []);
}

/** The strips that a block stands for. */
export function namesOf(node: NodeData, sites: Site[]): string[] {
  if (node.kind === "strip") return [node.strip];
  return [...new Set(insideOf(node, sites).flatMap((i) => [sites[i]?.key ?? "", sites[i]?.query ?? ""]))];
}

/** What is listed when a block is opened: its parts, and those of what stands in it. */
export function partsOf(architecture: ArchitectureData, id: string): NodeData[] {
  return architecture.nodes.filter((node) => node.parent === id);
}

/** The blocks with the words that they keep through all steps. */
export function facesOf(outline: Outline, words: Words): Face[] {
  const { architecture } = outline;
  const parents = new Set(architecture.nodes.map((node) => node.parent));
  return architecture.nodes.flatMap((node): Face[] => {
    if (node.kind === "part") return [];
    const opens = parents.has(node.id) && (node.kind === "tower" || node.kind === "module");
    const { title, detail } = textOf(outline, node, words);
    const { id, kind, parent, lane } = node;
    return [{ id, kind, parent, lane, title, detail, opens: opens && !parent }];
  });
}

function textOf(outline: Outline, node: NodeData, words: Words): { title: string; detail: string } {
  const { architecture, sites, strips, scenes } = outline;
  const [first] = insideOf(node, sites).flatMap((i) => sites[i] ?? []);
  const label = shown(node.label || " ", MOST_LABEL).replace(/^␣$/, "");
  if (node.kind === "strip") {
    const seen = scenes[node.strip] && scenes[node.strip]?.kind !== "audio";
    const detail = (seen ? words.patches : words.tokens)((strips[node.strip] ?? []).length);
    return { title: stripTitle(architecture, node, words), detail };
  }
  if (node.kind === "context") return { title: words.contextVector, detail: words.contextAt(0) };
  if (node.kind === "tower") {
    const title = label || words.towers[first?.kind ?? "encoder"];
    return { title: node.repeat > 1 ? `${title} ${words.times(node.repeat)}` : title, detail: shownDetail(node) };
  }
  if (node.kind !== "attention") return { title: label, detail: shownDetail(node) };
  const nHeads = first?.nHeads ?? 1;
  const detail = nHeads > 1 && !(first && isMask(first)) ? words.heads(nHeads) : shownDetail(node);
  return { title: attentionTitle(node, first, words), detail };
}

const shownDetail = (node: NodeData) => (node.detail ? shown(node.detail, MOST_LABEL) : "");

export function attentionTitle(node: NodeData, first: Site | undefined, words: Words): string {
  if (first && isMask(first)) return words.mask;
  if (!first || (first.kind === "cross" && !node.parent)) return words.attention;
  return words.attentions[first.kind];
}

function stripTitle({ nodes, edges }: ArchitectureData, node: NodeData, words: Words): string {
  if (node.strip === "context") return words.context;
  if (node.strip === "source") return words.input;
  if (node.strip !== "target") return shown(node.strip.replace(/_/g, " "), MOST_LABEL);
  const another = nodes.some((other) => other.strip === "target" && other.id !== node.id);
  return another && edges.some((edge) => edge.source === node.id) ? words.soFar : words.output;
}

/** What the selected site does at the gazed step. */
export function nowOf(architecture: ArchitectureData, site: Site | undefined, store: Store): Now {
  const outline = store.outline.value;
  const { sites, strips } = outline;
  const { query } = store.gaze.value;
  const texts = new Map<string, Text>();
  for (const node of architecture.nodes) {
    if (node.kind === "part") continue;
    const text = textOf(outline, node, store.words);
    const shape = node.shape ? store.words.reads(shown(node.shape, MOST_LABEL)) : "";
    const about = [text.title, shownDetail(node) || text.detail, shape].filter(Boolean).join(", ");
    const token = node.strip === "target" && text.title === store.words.output ? strips.target?.[query] : undefined;
    const layer = node.kind === "tower" && node.repeat > 1 ? layerOf(architecture, node, site) : -1;
    if (node.kind === "context") text.detail = store.words.contextAt(query);
    else if (site?.query === "target" && token !== undefined) text.detail = `“${shown(token, MOST_TOKEN)}”`;
    else if (layer >= 0) text.detail = store.words.layerOf(layer, node.repeat);
    texts.set(node.id, { ...text, about });
  }
  const asks = (edge: EdgeData) => {
    const asked = architecture.nodes.find((node) => node.id === edge.target);
    return sites.find((it) => asked?.sites.includes(it.name))?.asks ?? "";
  };
  return { ...litBy(architecture, site), texts, asks };
}

/** The way through the diagram that a site stands for: from its keys to what takes what it gives. */
function litBy({ nodes, edges }: ArchitectureData, site: Site | undefined): Pick<Now, "lit" | "lines"> {
  const lit = new Set<string>();
  const lines = new Set<string>();
  const strips = nodes.filter(
    (node) => node.kind === "strip" && (node.strip === site?.key || node.strip === site?.query),
  );
  for (const { id } of strips) lit.add(id);
  const attention = nodes.find((node) => node.kind === "attention" && node.sites.includes(site?.name ?? ""));
  if (!attention) return { lit, lines };
  const parents = new Map(nodes.map((node) => [node.id, node.parent]));
  const contexts = new Set(nodes.filter((node) => node.kind === "context").map((node) => node.id));
  const { id, parent } = attention;
  lit.add(id);
  if (parent) lit.add(parent);
  for (const { source, target, kind } of edges) {
    const inside = parent && kind === "flow" && parents.get(source) === parent;
    const given =
      source === id || (contexts.has(source) && edges.some((it) => it.source === id && it.target === source));
    const taken = target === id || (target === parent && site?.kind !== "cross");
    if (inside || !(given || taken)) continue;
    lines.add(`${source}-${target}`);
    if (given && !parent) lit.add(target);
    if (kind === "query") lit.add(source);
  }
  return { lit, lines };
}

/** Which layer of a tower a site is in; -1 where it is in none. */
function layerOf({ nodes }: ArchitectureData, tower: NodeData, site: Site | undefined): number {
  const name = site?.name ?? "";
  const inside = nodes.find(
    (node) => node.parent === tower.id && node.kind === "attention" && node.sites.includes(name),
  );
  return inside && inside.sites.length === tower.repeat ? inside.sites.indexOf(name) : -1;
}
