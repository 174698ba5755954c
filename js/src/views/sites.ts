/** Sites as people tell them apart: by kind and place in the network, and by layer. */
import { isMask, type Site } from "../wire.ts";
import { shown } from "../text.ts";
import type { Words } from "../words/index.ts";

/** Sites of one kind in one place of the network differ by their layer only. */
const groupOf = (site: Site) => `${site.kind} ${site.name.replace(/\d+/g, "#")}`;

/** Indices of the sites of each group, in order. */
export function groupsOf(sites: Site[]): number[][] {
  const groups = new Map<string, number[]>();
  for (const [i, site] of sites.entries()) {
    const members = groups.get(groupOf(site));
    if (members) members.push(i);
    else groups.set(groupOf(site), [i]);
  }
  return [...groups.values()];
}

export function siteName(sites: Site[], index: number, groups: number[][], words: Words): string {
  const site = sites[index];
  if (!site) return "";
  const twins = groups.filter((members) => sites[members[0] ?? 0]?.kind === site.kind).length > 1;
  const name = isMask(site) ? words.mask : words.kinds[site.kind];
  return twins ? `${name} (${shown(site.name)})` : name;
}
