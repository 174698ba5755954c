/** The languages that the page speaks. A new one is a file and a line here, and a name in the trait `language`. */
import type { Traits } from "../wire.gen.ts";
import { en } from "./en.ts";
import { zh } from "./zh.ts";

export type Words = typeof en;
export type Language = Exclude<Traits["language"], "auto">;

const WORDS: Record<Language, Words> = { en, zh };

export const wordsOf = (language: Language): Words => WORDS[language];

/** The language that was chosen, or else that of the page. */
export function languageOf(chosen: Traits["language"], page: string): Language {
  if (chosen !== "auto") return chosen;
  const [spoken = ""] = page.toLowerCase().split("-");
  return spoken === "zh" ? "zh" : "en";
}
