/** What there is to draw beside weights: strips, sites, steps and the diagram, put together from pictures. */
import type { Picture, Site, Step } from "./wire.ts";
import type { ArchitectureData } from "./wire.gen.ts";

export interface Outline {
  run: string;
  title: string;
  status: Picture["status"];
  strips: Record<string, string[]>;
  sites: Site[];
  steps: Step[];
  architecture: ArchitectureData;
}

export const NOTHING: Outline = {
  run: "",
  title: "",
  status: "empty",
  strips: {},
  sites: [],
  steps: [],
  architecture: { nodes: [], edges: [] },
};

/** Adds what a picture holds. */
export function withPicture(before: Outline, picture: Picture): Outline {
  const strips = { ...before.strips };
  for (const { name, at, texts } of picture.strips) {
    strips[name] = placed(strips[name] ?? [], at, texts, "");
  }
  const { steps, stepsAt } = picture;
  const done = before.status === "complete" || before.status === "stopped";
  const newer = picture.sites.every((site, i) => site.nQueries >= (before.sites[i]?.nQueries ?? 0));
  return {
    run: picture.run,
    title: picture.title,
    status: done ? before.status : picture.status,
    strips,
    sites: newer ? picture.sites : before.sites,
    steps: placed(before.steps, stepsAt, steps, { token: "", candidates: [] }),
    architecture: picture.architecture ?? before.architecture,
  };
}

/** Puts items where they belong; places that were skipped hold `blank` until theirs come. */
function placed<T>(old: T[], at: number, items: T[], blank: T): T[] {
  const result = [...old];
  while (result.length < at) result.push(blank);
  result.splice(at, items.length, ...items);
  return result;
}
