/** What is chosen, shared with Python. */
import { isMask, type Site } from "./wire.ts";
import { MEAN, type Traits } from "./wire.gen.ts";

/** The traits that say how the picture is looked at. */
export type Selection = Pick<Traits, (typeof SELECTED)[number]>;
export const SELECTED = [
  "step",
  "site",
  "head",
  "locked",
  "scale",
  "expectation",
  "expected",
  "strength",
  "special",
  "special_keys",
  "rows",
  "language",
] as const satisfies (keyof Traits)[];

export const FIRST: Selection = {
  step: 0,
  site: 0,
  head: MEAN,
  locked: [],
  scale: "auto",
  expectation: "auto",
  expected: [],
  strength: "sum",
  special: "keep",
  special_keys: [],
  rows: "query",
  language: "auto",
};

/** What is expected where nobody chose: 1 of words that are read once, nothing of patches and of what a decoder wrote. */
export function expectationOf(
  { expectation }: Selection,
  site: Site | undefined,
  isScene: boolean,
): Selection["expectation"] {
  if (expectation !== "auto") return expectation;
  return site && site.kind !== "decoder" && !isScene && !isMask(site) ? "one" : "none";
}
