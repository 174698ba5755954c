/** What the grid of heads shows: which tiles, in which order, what they are called, and what is missing. */
import { computed, signal as state, type ReadonlySignal, type Signal } from "@preact/signals-core";
import { headName, STATISTICS } from "../heads.ts";
import type { Store } from "../store.ts";
import { HEADS_WEIGHTS } from "../wire.gen.ts";
import { short } from "../text.ts";
import { byLayer, bySort, type Grid, type Sort } from "./grid-order.ts";
import { groupsOf, siteName } from "./sites.ts";

export interface GridState {
  nHeads: ReadonlySignal<number>;
  /** what a person said; null before */
  opened: Signal<boolean | null>;
  isOpen: ReadonlySignal<boolean>;
  sort: Signal<Sort>;
  sorts: ReadonlySignal<[Sort, string][]>;
  grid: ReadonlySignal<Grid>;
  /** index of the tile of the selected head, or -1 */
  selected: ReadonlySignal<number>;
  /** site of the selected head */
  site: ReadonlySignal<number>;
  /** sites of which heads were not told */
  lacking: ReadonlySignal<number[]>;
  layerName: (site: number) => string;
  groupName: (site: number) => string;
  shortName: (site: number, head: number) => string;
  /** name and statistics of the head of a tile */
  tell: (index: number) => { name: string; numbers: string[] };
}

export function gridState(store: Store, width: ReadonlySignal<number>): GridState {
  const opened = state<boolean | null>(null);
  const sort = state<Sort>("layer");
  const sites = computed(() => store.outline.value.sites);
  const groups = computed(() => groupsOf(sites.value));
  const nHeads = computed(() => sites.value.reduce((sum, site) => sum + site.nHeads, 0));
  const nWeights = computed(() => sites.value.reduce((sum, site) => sum + site.nHeads * site.nQueries * site.nKeys, 0));
  const grid = computed(() =>
    sort.value === "layer"
      ? byLayer(sites.value, groups.value, width.value)
      : bySort(sites.value, store.heads.value, sort.value, width.value, groups.value.length),
  );
  const site = computed(() => store.selection.value.site);
  const head = computed(() => (sites.value[site.value]?.nHeads === 1 ? 0 : store.selection.value.head));
  const isTold = (name: string) =>
    [...store.heads.value.values()].some((each) => each.statistics[name as (typeof STATISTICS)[number]] !== null);
  const layerOf = (index: number) => groups.value.find((members) => members.includes(index))?.indexOf(index) ?? 0;
  const groupName = (index: number) => siteName(sites.value, index, groups.value, store.words);
  return {
    nHeads,
    opened,
    isOpen: computed(() => opened.value ?? (nHeads.value > 1 && nWeights.value <= HEADS_WEIGHTS)),
    sort,
    sorts: computed(() => {
      const told = new Set<string>(["layer", ...STATISTICS.filter(isTold)]);
      return (Object.entries(store.words.sorts) as [Sort, string][]).filter(([name]) =>
        told.has(name.replace("-", "")),
      );
    }),
    grid,
    selected: computed(() =>
      grid.value.tiles.findIndex((tile) => tile.site === site.value && tile.head === head.value),
    ),
    site,
    lacking: computed(() =>
      [...sites.value.entries()]
        .filter(([index, { nHeads: n, nQueries }]) =>
          Array.from({ length: n }, (_, h) => store.heads.value.get(headName(index, h))?.nQueries ?? 0).some(
            (rows) => rows < nQueries,
          ),
        )
        .map(([index]) => index),
    ),
    layerName: (index) => store.words.layerName(layerOf(index)),
    groupName,
    shortName: (index, h) =>
      (groups.value.length > 1 ? `${store.words.kindsShort[sites.value[index]?.kind ?? "cross"]} ` : "") +
      store.words.headShort(layerOf(index), h),
    tell: (index) => {
      const tile = grid.value.tiles[index];
      if (!tile) return { name: "", numbers: [] };
      const told = store.heads.value.get(headName(tile.site, tile.head))?.statistics;
      const numbers = STATISTICS.flatMap((name) => {
        const value = told?.[name] ?? null;
        return value === null ? [] : [store.words.statistics[name](short(value))];
      });
      const group = groups.value.length > 1 ? `${groupName(tile.site)}, ` : "";
      return { name: group + store.words.headAt(layerOf(tile.site), tile.head), numbers };
    },
  };
}
