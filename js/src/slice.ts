/** What of the recording is drawn: one head of one site, its tokens, and what is left out of it. */
import { Precision } from "./blocks.ts";
import { empty, worst, type Matrix } from "./matrix.ts";
import type { Outline } from "./outline.ts";
import type { Selection } from "./selection.ts";
import { specialKeys, without } from "./special.ts";
import type { Scene, Site } from "./wire.ts";

export interface Slice {
  site: Site | undefined;
  matrix: Matrix;
  queries: string[];
  keys: string[];
  /** what queries and keys are parts of, if they are not words */
  queryScene: Scene | null;
  keyScene: Scene | null;
  /** no weights of this head have come */
  absent: boolean;
  precision: Precision;
  /** keys that are dimmed, or left out of `matrix`; of a large head, which nobody can renormalise here, dimmed only */
  special: number[];
}

const NO_SITE: Slice = {
  site: undefined,
  matrix: empty(),
  queries: [],
  keys: [],
  queryScene: null,
  keyScene: null,
  absent: true,
  precision: Precision.Missing,
  special: [],
};

/** The slice of a site, of which these weights came. */
export function sliceOf(
  { sites, strips, scenes }: Outline,
  index: number,
  found: Matrix | null,
  special: Selection["special"],
  named: number[],
): Slice {
  const site = sites[index];
  if (!site) return NO_SITE;
  const queries = strips[site.query] ?? [];
  const keys = strips[site.key] ?? [];
  const chosen = named.length || !found || special === "keep" ? named : specialKeys(keys, found);
  const apart = special === "keep" ? [] : chosen.filter((key) => key < (found?.nKeys ?? 0));
  const isCut = special === "omit" && apart.length > 0;
  return {
    site,
    matrix: found && isCut && !found.large ? without(found, apart) : (found ?? empty()),
    queries,
    keys,
    queryScene: scenes[site.query] ?? null,
    keyScene: scenes[site.key] ?? null,
    absent: !found,
    precision: found ? worst(found) : Precision.Missing,
    special: apart,
  };
}
