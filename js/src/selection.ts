/** What is chosen, shared with Python. */
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
] as const satisfies (keyof Traits)[];

export const FIRST: Selection = {
  step: 0,
  site: 0,
  head: MEAN,
  locked: [],
  scale: "absolute",
  expectation: "one",
  expected: [],
  strength: "sum",
  special: "keep",
  special_keys: [],
  rows: "query",
};
