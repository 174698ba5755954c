/** What a recording says of itself, put together from the pictures that came. */
import type { ArchitectureData } from "./wire.gen.ts";
import type { Picture, Scene, Site, Step } from "./wire.ts";

export interface Outline {
  run: string;
  title: string;
  status: Picture["status"];
  strips: Record<string, string[]>;
  /** of the strips that are not words */
  scenes: Record<string, Scene>;
  sites: Site[];
  steps: Step[];
  /** the diagram */
  architecture: ArchitectureData;
}

/** Stands for a token that did not come yet. */
export const UNKNOWN = "\u2026";
/** More tokens than a page should make room for. */
const MAX_TOKENS = 2 ** 22;

export const NOTHING: Outline = {
  run: "",
  title: "",
  status: "empty",
  strips: {},
  scenes: {},
  sites: [],
  steps: [],
  architecture: { nodes: [], edges: [] },
};

/** Tells whether the keys of a site are what a decoder has read, its own output included, and not an input. */
export const readsItself = (site: Site): boolean => site.kind === "decoder" && site.query !== site.key;

/** Tells whether nothing more will come. */
export const isOver = ({ status }: Outline): boolean => status === "complete" || status === "stopped";

/** The outline with what a picture adds to it; the same one where that is nothing, so that nobody draws it again. */
export function withPicture(before: Outline, picture: Picture): Outline {
  const strips = named(before.strips);
  const scenes = named(before.scenes);
  const added = picture.strips.filter(
    ({ name, nTokens, texts, scene }) => texts.length || scene || nTokens > (strips[name]?.length ?? -1),
  );
  for (const { name, nTokens, at, texts, scene } of added) {
    const strip = placed(strips[name] ?? [], at, texts, UNKNOWN);
    while (strip.length < Math.min(nTokens, MAX_TOKENS)) strip.push(UNKNOWN);
    strips[name] = strip;
    if (scene) scenes[name] = scene;
  }
  const { steps, stepsAt } = picture;
  const newer = picture.sites.every((site, i) => site.nQueries >= (before.sites[i]?.nQueries ?? 0));
  const isNews = newer && JSON.stringify(picture.sites) !== JSON.stringify(before.sites);
  const status = isOver(before) ? before.status : picture.status;
  const { run, title, architecture } = picture;
  const isMore = added.length || isNews || steps.length || stepsAt > before.steps.length || architecture;
  if (!isMore && run === before.run && title === before.title && status === before.status) return before;
  return {
    run,
    title,
    status,
    strips,
    scenes,
    sites: isNews ? picture.sites : before.sites,
    steps: placed(before.steps, stepsAt, steps, { token: "", candidates: [] }),
    architecture: architecture ?? before.architecture,
  };
}

/** A copy that has the names that it was given and no other, whatever they are: a strip may be called "constructor". */
const named = <T>(things: Record<string, T>) => Object.assign(Object.create(null) as Record<string, T>, things);

/** Puts items where they belong; places that were skipped hold `blank` until theirs come. */
function placed<T>(old: T[], at: number, items: T[], blank: T): T[] {
  const result = [...old];
  while (result.length < at) result.push(blank);
  for (const [i, item] of items.entries()) result[at + i] = item;
  return result;
}
