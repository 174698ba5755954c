import { describe, expect, it } from "vitest";
import shownPairs from "../../tests/data/shown.json?raw";
import written from "../../tests/data/written.json?raw";
import { exact, fits, percent, short, shown } from "../src/text.ts";
import { en as words } from "../src/words/en.ts";
import { languageOf, wordsOf } from "../src/words/index.ts";

describe("a token is shown so that it can be told apart", () => {
  it.each([
    ["the", "the"],
    [" the", "␣the"],
    ["the ", "the␣"],
    ["a b", "a b"],
    ["a  b", "a ␣b"],
    ["", "∅"],
    ["\n", "⏎"],
    ["\t", "⇥"],
    ["\u00a0", "⟨A0⟩"],
    ["zero\u200bwidth", "zero⟨200B⟩width"],
    ["\u202eabc", "⟨202E⟩abc"],
    ["\ud800", "⟨D800⟩"],
    ["👨‍👩‍👧", "👨‍👩‍👧"],
    ["👩🏽‍💻", "👩🏽‍💻"],
    ["a\u200db", "a⟨200D⟩b"],
    ["<b>&amp;</b>", "<b>&amp;</b>"],
    ["ילד", "\u2068ילד\u2069"],
  ])("%j", (token, expected) => expect(shown(token)).toBe(expected));

  it("is written as in printed figures", () => {
    const pairs = JSON.parse(shownPairs) as [text: string, written: string][]; // of test_figure.py too
    expect(pairs.map(([text]) => [text, shown(text)])).toEqual(pairs);
  });

  it("is cut when it is long, by whole characters", () => {
    expect(shown("🎉".repeat(100), 3)).toBe("🎉🎉🎉…");
    expect([shown("x".repeat(60)), shown("x".repeat(61))]).toEqual(["x".repeat(60), `${"x".repeat(60)}…`]);
  });
});

describe("a text", () => {
  it("fits where each of its characters does", () => {
    expect([fits("K", 9), fits("K", 8), fits("Ka", 13), fits("", 0)]).toEqual([true, false, false, true]);
  });
});

describe("a number", () => {
  it("is told exactly enough to be found again", () => {
    for (const value of [0.761234, 1, 0.000123456, 1.25e-7, -0.5, 30000])
      expect(Number(exact(value).replace("−", "-"))).toBeCloseTo(value, 6);
  });

  it("that is no number says so", () => {
    expect([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map(exact)).toEqual(["NaN", "∞", "−∞"]);
    expect([short(Number.NaN), percent(Number.NaN)]).toEqual(["NaN", "NaN"]);
  });

  it("is written as in printed figures", () => {
    const told = JSON.parse(written) as [value: number, short: string, percent: string][]; // of test_figure_text.py too
    expect(told.map(([value]) => [value, short(value), percent(value)])).toEqual(told);
  });

  it("has a sign of its own where it is very small or very large", () => {
    expect([12345.678, 0.000012345678, -0.5, -2e6, 0].map(exact)).toEqual([
      "12345.7",
      "1.2346e−5",
      "−0.500000",
      "−2.0000e+6",
      "0",
    ]);
    expect([999.994, 1000].map(short)).toEqual(["999.99", "1e+3"]);
  });

  it("is a percentage that never rounds something to nothing", () => {
    const told = [0.76, 0.063, 0.0004, 0, 1].map(percent);
    expect(told).toEqual(["76 %", "6.3 %", "< 0.1 %", "0 %", "100 %"]);
  });
});

describe("a flag", () => {
  it("says what a site gave up", () => {
    expect([1, 40].map((n) => words.flags.reduced?.(n))).toEqual([
      "1 row keeps its 16 largest weights only; sums and entropy are of those",
      "40 rows keep their 16 largest weights only; sums and entropy are of those",
    ]);
  });
});

describe("a language", () => {
  it("is the one that was chosen, or that of the page", () => {
    expect([languageOf("zh", "en"), languageOf("en", "zh-CN"), languageOf("auto", "zh-CN")]).toEqual([
      "zh",
      "en",
      "zh",
    ]);
    expect([languageOf("auto", ""), languageOf("auto", "de-DE"), languageOf("auto", "zhx")]).toEqual([
      "en",
      "en",
      "en",
    ]);
  });

  it("has every word that English has", () => {
    const namesOf = (table: object): string[] =>
      Object.entries(table).flatMap(([name, value]: [string, unknown]) =>
        typeof value === "object" && value ? namesOf(value).map((inner) => `${name}.${inner}`) : [name],
      );
    expect(namesOf(wordsOf("zh")).sort()).toEqual(namesOf(words).sort());
  });

  it("writes what it is given into its sentences", () => {
    expect(wordsOf("zh").sentence("步", 2, "chat", "73 %", "cat")).toBe("第 3 步“chat”：73 % 的注意力在“cat”上。");
  });
});
