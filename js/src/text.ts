/** How tokens and numbers are written, so that none is mistaken for another. */

/** A weight for reading: six significant digits, so that it can be told from its neighbours. */
export function exact(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const text = Math.abs(value) < 1e-4 || Math.abs(value) >= 1e6 ? value.toExponential(4) : value.toPrecision(6);
  return text.replace("-", "−");
}

/** A weight for a small place: two decimals. */
export const short = (value: number): string =>
  Number.isFinite(value)
    ? (Math.abs(value) >= 1000 ? value.toExponential(0) : value.toFixed(2)).replace("-", "−")
    : exact(value);

/** A weight as a percentage, and as a number where it is far from being a share. */
export const percent = (value: number): string =>
  !(Math.abs(value) < 10)
    ? short(value)
    : value > 0 && value < 0.001
      ? "< 0.1 %"
      : `${(value * 100).toFixed(value > 0 && value < 0.0995 ? 1 : 0).replace("-", "−")} %`;

/** Room that a character needs, in CSS pixels. */
const CHARACTER_PX = 9;

/** Tells whether a text can be read in so many pixels. */
export const fits = (text: string, size: number): boolean => text.length * CHARACTER_PX <= size;

const HIDDEN = /[\p{C}\p{DI}\p{Zl}\p{Zp}\u2800]|(?! )\p{Zs}/u;
const NAMED: Record<string, string> = { "\n": "⏎", "\t": "⇥", "\r": "␍" };
/** What a mark stands on that has no letter. */
const CIRCLE = "◌";
const PLAIN = /^[!-~]+$/;
const MARK = /\p{M}/u;
const MAX_SHOWN = 60;

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** Marks on one letter: more would reach into other lines. */
const MOST_MARKS = 4;

/** A token so that it can be told from any other by eye: hidden characters get a sign, long ones are cut. */
export function shown(text: string, limit = MAX_SHOWN): string {
  if (text === "") return "∅";
  if (text.length <= limit && PLAIN.test(text)) return text;
  const characters = [...text];
  const pictographic = /\p{Extended_Pictographic}|\p{Emoji_Modifier}|\ufe0f/u;
  let result = "";
  let marks = 0;
  let bare = true; // nothing stands before that a mark could belong to
  for (const [i, c] of characters.slice(0, limit).entries()) {
    const before = characters[i - 1] ?? "";
    const edge = i === 0 || i === characters.length - 1;
    const pictured =
      c === "\u200d"
        ? pictographic.test(before) && pictographic.test(characters[i + 1] ?? "")
        : /[\ufe0e\ufe0f]/.test(c) && /\p{Emoji}/u.test(before);
    marks = MARK.test(c) ? marks + 1 : 0;
    const own = c === CIRCLE && MARK.test(characters[i + 1] ?? "");
    const coded = (HIDDEN.test(c) || marks > MOST_MARKS || own) && !pictured;
    if (c === " ") result += edge || before === " " ? "␣" : " ";
    else if (coded) result += NAMED[c] ?? `⟨${(c.codePointAt(0) ?? 0).toString(16).toUpperCase()}⟩`;
    else result += marks && bare ? CIRCLE + c : c;
    bare = coded;
  }
  if (characters.length > limit) result += "…";
  return RIGHT_TO_LEFT.test(result) ? `\u2068${result}\u2069` : result; // isolated: it must not move its neighbours
}
