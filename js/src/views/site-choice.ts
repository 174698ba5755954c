/** Choosing a site, so that what is selected of the one before fits it. */
import type { Store } from "../store.ts";
import { MEAN } from "../wire.gen.ts";

/** Selects a site; head and step stay as they are where the site has them. */
export function chooseSite(store: Store, index: number, chosen?: number): void {
  const { sites } = store.outline.value;
  const nHeads = sites[index]?.nHeads ?? 1;
  const { head: old, step, site } = store.selection.value;
  const last = Math.max(0, (sites[index]?.nQueries ?? 1) - 1);
  const head = chosen ?? (old < nHeads ? old : MEAN);
  store.select(index === site ? { head } : { site: index, head, locked: [], step: Math.min(step, last) });
}
