/** What is written in the blocks of the diagram, and which of them the selected site lights. */
import type { Store } from "../store.ts";
import type { ArchitectureData, EdgeData, NodeData } from "../wire.gen.ts";
import { isMask, type Site } from "../wire.ts";
import { shown, words } from "../words.ts";
import type { Face } from "./diagram-layout.ts";

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

const MOST_LABEL = 40;

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
export function facesOf(architecture: ArchitectureData, sites: Site[], strips: Record<string, string[]>): Face[] {
  const parents = new Set(architecture.nodes.map((node) => node.parent));
  return architecture.nodes.flatMap((node): Face[] => {
    if (node.kind === "part") return [];
    const opens = parents.has(node.id) && (node.kind === "tower" || node.kind === "module");
    const { title, detail } = textOf(architecture, node, sites, strips);
    const { id, kind, parent, lane } = node;
    return [{ id, kind, parent, lane, title, detail, opens: opens && !parent }];
  });
}

function textOf(
  architecture: ArchitectureData,
  node: NodeData,
  sites: Site[],
  strips: Record<string, string[]>,
): { title: string; detail: string } {
  const [first] = insideOf(node, sites).flatMap((i) => sites[i] ?? []);
  const label = shown(node.label || " ", MOST_LABEL).replace(/^␣$/, "");
  if (node.kind === "strip")
    return { title: stripTitle(architecture, node), detail: words.tokens((strips[node.strip] ?? []).length) };
  if (node.kind === "context") return { title: words.contextVector, detail: words.contextAt(0) };
  if (node.kind === "tower") {
    const title = label || words.towers[first?.kind ?? "encoder"];
    return { title: node.repeat > 1 ? `${title} ${words.times(node.repeat)}` : title, detail: shownDetail(node) };
  }
  if (node.kind !== "attention") return { title: label, detail: shownDetail(node) };
  const nHeads = first?.nHeads ?? 1;
  const detail = nHeads > 1 && !(first && isMask(first)) ? words.heads(nHeads) : shownDetail(node);
  return { title: attentionTitle(node, first), detail };
}

const shownDetail = (node: NodeData) => (node.detail ? shown(node.detail, MOST_LABEL) : "");

export function attentionTitle(node: NodeData, first: Site | undefined): string {
  if (first && isMask(first)) return words.mask;
  if (!first || (first.kind === "cross" && !node.parent)) return words.attention;
  return words.attentions[first.kind];
}

function stripTitle({ nodes, edges }: ArchitectureData, node: NodeData): string {
  if (node.strip === "context") return words.context;
  if (node.strip === "source") return words.input;
  if (node.strip !== "target") return shown(node.strip.replace(/_/g, " "), MOST_LABEL);
  const another = nodes.some((other) => other.strip === "target" && other.id !== node.id);
  return another && edges.some((edge) => edge.source === node.id) ? words.soFar : words.output;
}

/** What the selected site does at the gazed step. */
export function nowOf(architecture: ArchitectureData, site: Site | undefined, store: Store): Now {
  const { sites, strips, steps } = store.outline.value;
  const { query } = store.gaze.value;
  const lit = new Set<string>();
  const lines = new Set<string>();
  const byId = new Map(architecture.nodes.map((node) => [node.id, node]));
  const attention = architecture.nodes.find(
    (node) => node.kind === "attention" && node.sites.includes(site?.name ?? ""),
  );
  if (attention) {
    lit.add(attention.id);
    if (attention.parent) lit.add(attention.parent);
    for (const { source, target, kind } of architecture.edges) {
      const into = target === attention.id || (target === attention.parent && site?.kind !== "cross");
      const inside = byId.get(source)?.parent && kind === "flow";
      if (into && !inside) lines.add(`${source}-${target}`);
      if (source === attention.id && !inside) lines.add(`${source}-${target}`);
      if (source === attention.id && byId.get(target)?.kind === "context") lit.add(target);
    }
    for (const { source, target } of architecture.edges)
      if (lit.has(source) && byId.get(source)?.kind === "context")
        lines.add(`${source}-${target}`).add("") && lit.add(target);
    for (const { source, target, kind } of architecture.edges)
      if (target === attention.id && kind === "query") lit.add(source);
  }
  const texts = new Map<string, Text>();
  for (const node of architecture.nodes) {
    if (node.kind === "part") continue;
    const text = textOf(architecture, node, sites, strips);
    if (node.kind === "strip" && (node.strip === site?.key || node.strip === site?.query)) lit.add(node.id);
    const token = strips[node.strip]?.[query];
    const inside = insideOf(node, sites);
    const layer = site ? inside.indexOf(sites.indexOf(site)) : -1;
    if (node.kind === "context") text.detail = words.contextAt(query);
    else if (
      node.kind === "strip" &&
      node.strip === "target" &&
      text.title === words.output &&
      steps.length &&
      token !== undefined
    )
      text.detail = `“${shown(token, 14)}”`;
    else if (node.kind === "tower" && node.repeat > 1 && layer >= 0)
      text.detail = words.layerOf(rowOf(architecture, node, site), node.repeat);
    const shape = node.shape ? words.reads(shown(node.shape, MOST_LABEL)) : "";
    const about = [text.title, shownDetail(node) || text.detail, shape].filter(Boolean).join(", ");
    texts.set(node.id, { ...text, about });
  }
  const asks = (edge: EdgeData) => sites.find((it) => byId.get(edge.target)?.sites.includes(it.name))?.asks ?? "";
  return { lit, lines, texts, asks };
}

/** Which layer of a tower a site is in. */
function rowOf(architecture: ArchitectureData, tower: NodeData, site: Site | undefined): number {
  const inside = architecture.nodes.find(
    (node) => node.parent === tower.id && node.kind === "attention" && node.sites.includes(site?.name ?? ""),
  );
  return Math.max(0, inside?.sites.indexOf(site?.name ?? "") ?? 0);
}
