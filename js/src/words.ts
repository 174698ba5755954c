/** Every word that a person reads, in one table, and how tokens and numbers are written. */

export const words = {
  name: "Attention",
  site: "site",
  layer: "layer",
  head: "head",
  headOf: (head: number, n: number) => (n === 1 ? "1 of 1" : `${head + 1} of ${n}`),
  mean: (n: number) => `mean of ${n}`,
  first: "first step",
  previous: "previous step",
  play: "play",
  pause: "pause",
  next: "next step",
  last: "last step",
  step: "step",
  stepOf: (step: number, n: number) => (n ? `step ${step + 1} of ${n}` : "no steps yet"),
  stepText: (step: number, n: number, token: string) => `step ${step + 1} of ${n}, token ${token}`,
  speed: "speed",
  perSecond: (n: number) => `${n}/s`,
  kinds: { encoder: "encoder self", decoder: "decoder self", cross: "decoder → encoder" },
  input: "input",
  output: "output",
  context: "read so far",
  keys: "looked at",
  queries: "looking",
  corner: (rows: string, columns: string) => `${rows} ↓\n${columns} →`,
  axes: (rows: string, columns: string) => `rows are ${rows}, columns are ${columns}`,
  heatmap: "Attention weights",
  heatmapHelp: "Arrow keys move, Enter locks, Escape lets go.",
  strength: "strength",
  strengths: { sum: "strength so far", step: "strength in this step" },
  strengthChoices: { sum: "steps so far", step: "this step" },
  rows: "rows",
  rowChoices: (query: string, key: string) => ({ query, key }),
  special: "special tokens",
  specialChoices: { keep: "as they are", dim: "dimmed", omit: "left out" },
  omitted: (n: number) =>
    `${n} special ${n === 1 ? "input is" : "inputs are"} left out: the other weights are renormalised, not as recorded`,
  dimmed: (n: number) => `${n} special ${n === 1 ? "input is" : "inputs are"} dimmed`,
  unfitting: (n: number, nKeys: number) =>
    `expected strength: ${n} ${n === 1 ? "number" : "numbers"} came, ${nKeys} are needed, one for each input`,
  weak: "weak",
  strong: "strong",
  expected: (value: string) => `expected ${value}`,
  ownExpected: "your expectation",
  verdicts: { weak: "weak inputs", strong: "strong inputs" },
  more: (n: number) => `${n} more`,
  coverageDeviation: "coverage deviation",
  absentmindedness: "absentminded",
  outIn: (out: string, into: string) => `${out} out, ${into} in`,
  thisStep: "This step",
  candidates: "what the decoder could have said",
  strongestInputs: "strongest inputs",
  reading: "Reading",
  view: "View",
  entropy: "entropy of the row",
  bits: (value: string) => `${value} bits`,
  strengthOf: (token: string) => `strength of “${token}”`,
  weakest: "weakest so far",
  asks: "query",
  asksWith: { before: "state before the step, s(t−1)", after: "state of the step, s(t)" },
  rowsSum: "row sums to",
  diagram: "The network",
  hideDiagram: "hide diagram",
  showDiagram: "show diagram",
  soFar: "output so far",
  tokens: (n: number) => `${n} ${n === 1 ? "token" : "tokens"}`,
  patches: (n: number) => `${n} ${n === 1 ? "patch" : "patches"}`,
  towers: { encoder: "encoder", decoder: "decoder", cross: "decoder" },
  attention: "attention",
  mask: "mask",
  attentions: { encoder: "self-attention", decoder: "self-attention", cross: "cross-attention" },
  contextVector: "context",
  contextAt: (step: number) => `c(${step + 1})`,
  times: (n: number) => `× ${n}`,
  heads: (n: number) => `${n} ${n === 1 ? "head" : "heads"}`,
  layerOf: (layer: number, n: number) => `layer ${layer + 1} of ${n}`,
  layerAt: (layer: number) => `layer ${layer + 1}`,
  reads: (shape: string) => `reads ${shape}`,
  queryWith: {
    "": "query",
    before: "asks with the state before the step, s(t−1)",
    after: "asks with the state of the step, s(t)",
  },
  strongestShare: (percent: string) => `strongest input: ${percent}`,
  scene: (name: string, kind: string) => `${name}, ${kind}`,
  scenes: { image: "a picture", video: "a clip", audio: "a sound" },
  sceneScale: (token: string, weight: string) => `clearest where the weight is largest: ${token}, ${weight}`,
  veil: "overlay",
  links: "links",
  linkChoices: { step: "this step", all: "all steps so far", none: "none" },
  scale: "scale",
  scaleChoices: { absolute: "0 to 1", row: "row maximum" },
  expectation: "expected",
  expectationChoices: { one: "1", ratio: "steps ÷ inputs", none: "none", own: "your own" },
  zoomIn: "zoom in",
  zoomOut: "show everything",
  why: "Why this weight?",
  whyCell: (query: string, key: string, weight: string) => `${query} → ${key}: ${weight}`,
  whyMean: "The mean over heads has no score of its own. Choose a head.",
  whyWaiting: "What this weight came of is not in this page. Run the notebook to fetch it.",
  whyNothing: "Not recorded: scores, query and key. The model handed over weights only.",
  whyUnknown: "Not recorded: what the score came of.",
  whyLater: "The row could not see this key yet",
  whyQuery: "query",
  whyKey: "key",
  whyProduct: "query × key",
  whyDot: "query · key, the sum of their products",
  whyScale: (scale: string) => `scaled: times ${scale}`,
  whyCap: (cap: string) => `capped: ${cap} · tanh(x ÷ ${cap})`,
  whyAdditive: "v · tanh(W s + W h), the sum of the products",
  whyBias: "bias, added to the score",
  whyScore: "score",
  whyHidden: "score, hidden by a mask",
  whyExponential: "exp(score − largest score)",
  whyTotal: (n: number, sink: boolean) => `the same, summed over ${n} keys${sink ? " and a sink" : ""}`,
  whySoftmax: "softmax: the one divided by the other",
  whyChanged: "changed after the softmax, as by a window: times",
  whyRecorded: "recorded weight",
  suggests: "Weights suggest where a decoder looked. They do not say why it chose its word.",
  rowScaled: "colours are scaled to each row",
  rounded: "values rounded to 1/510 of their row",
  pooled: "overview: each cell shows the maximum of several weights",
  binned: (n: number) => `each cell shows the maximum of up to ${n} weights; zoom in for single ones`,
  waiting: "Waiting for the first step.",
  noWeights: "The weights of this head are not in this picture. Run the notebook to fetch them.",
  spreadOut: "weights are spread out: the scale “row maximum” shows more",
  missing: (n: number) => `${n} ${n === 1 ? "row has" : "rows have"} not arrived`,
  recording: "recording",
  stopped: (n: number) => `stopped after step ${n}`,
  weightOf: (query: string, key: string, value: string) => `${query} → ${key}: ${value}`,
  cell: (q: number, query: string, k: number, key: string, value: string) =>
    `row ${q + 1}, ${query}; column ${k + 1}, ${key}; weight ${value}`,
  locked: "locked",
  nothing: "no weight above 0",
  allHeads: (n: number) => (n === 1 ? "1 head" : `all ${n} heads`),
  sortBy: "sort by",
  sorts: {
    layer: "layer",
    entropy: "most spread out (entropy)",
    "-entropy": "most focused (entropy)",
    distance: "looks farthest",
    "-distance": "looks nearest",
    previous: "previous token",
    first: "first token (sink)",
    diagonal: "own token or diagonal",
    induction: "repeats (induction)",
  },
  layerName: (layer: number) => `layer ${layer + 1}`,
  headAt: (layer: number, head: number) => `layer ${layer + 1}, head ${head + 1}`,
  headShort: (layer: number, head: number) => `L${layer + 1} H${head + 1}`,
  kindsShort: { encoder: "enc", decoder: "dec", cross: "cross" },
  statistics: {
    entropy: (value: string) => `entropy ${value} bits`,
    distance: (value: string) => `distance ${value}`,
    previous: (value: string) => `previous ${value}`,
    first: (value: string) => `first ${value}`,
    diagonal: (value: string) => `diagonal ${value}`,
    induction: (value: string) => `induction ${value}`,
  },
  headsHint: "Point at a head for its numbers, click to open it.",
  headsHelp: "Arrow keys move, Enter opens.",
  headsLegend: (turned: boolean) => `Each ${turned ? "column" : "row"} of a tile is scaled to its largest weight.`,
  headsAbsent: "Dashed heads need a running kernel.",
  headsComing: "Dashed heads are told once all steps are there.",
  sentence: (step: number, token: string, percent: string, key: string) =>
    `Step ${step + 1}, “${token}”: ${percent} of the attention is on “${key}”.`,
  other: (key: string, percent: string) => ` The strongest other input is “${key}” with ${percent}.`,
  maskSentence: (step: number, token: string, weight: string, key: string) =>
    `Step ${step + 1}, “${token}”: the mask is strongest at “${key}”, with ${weight}. Its weights do not share out a sum.`,
  noSentence: (step: number, token: string) => `Step ${step + 1}, “${token}”: no weights to read.`,
  flags: {
    nan: (n: number) => `${n} ${n === 1 ? "weight is" : "weights are"} NaN`,
    infinite: (n: number) => `${n} ${n === 1 ? "weight is" : "weights are"} infinite`,
    negative: (n: number) => `${n} ${n === 1 ? "weight is" : "weights are"} negative`,
    above_one: (n: number) => `${n} ${n === 1 ? "weight is" : "weights are"} above 1`,
    row_sum: (n: number) => `${n} ${n === 1 ? "row does" : "rows do"} not sum to 1`,
    zero_row: (n: number) => `${n} ${n === 1 ? "row is" : "rows are"} all zero`,
    column_sum: () => "columns sum to 1 where rows were expected to",
    missing: (n: number) => `${n} ${n === 1 ? "step has" : "steps have"} no weights`,
    reduced: (n: number) =>
      `${n} ${n === 1 ? "row keeps its" : "rows keep their"} 16 largest weights only; sums and entropy are of those`,
    mask: (n: number) =>
      `${n} ${n === 1 ? "row is a mask" : "rows are masks"}: each weight is from 0 to 1 on its own, they need not sum to 1`,
  } as Record<string, (n: number) => string>,
  hints: {
    negative: ": are these scores from before softmax?",
    column_sum: ": is the matrix transposed?",
  } as Record<string, string>,
  first_place: (head: number, query: number, key: number) =>
    [head >= 0 ? `head ${head + 1}` : "", query >= 0 ? `row ${query + 1}` : "", key >= 0 ? `column ${key + 1}` : ""]
      .filter(Boolean)
      .join(", "),
};

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

export const percent = (value: number): string =>
  !Number.isFinite(value)
    ? exact(value)
    : value > 0 && value < 0.001
      ? "< 0.1 %"
      : `${(value * 100).toFixed(value > 0 && value < 0.0995 ? 1 : 0).replace("-", "−")} %`;

/** Room that a character needs, in CSS pixels. */
const CHARACTER_PX = 9;

/** Tells whether a text can be read in so many pixels. */
export const fits = (text: string, size: number): boolean => text.length * CHARACTER_PX <= size;

const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]|(?! )\p{Zs}/u;
const NAMED: Record<string, string> = { "\n": "⏎", "\t": "⇥", "\r": "␍" };
const PLAIN = /^[!-~]+$/;
const MAX_SHOWN = 60;

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/;

/** A token so that it can be told from any other by eye: hidden characters get a sign, long ones are cut. */
export function shown(text: string, limit = MAX_SHOWN): string {
  if (text === "") return "∅";
  if (text.length <= limit && PLAIN.test(text)) return text;
  const characters = [...text];
  const pictographic = /\p{Extended_Pictographic}|\p{Emoji_Modifier}|\ufe0f/u;
  let result = "";
  for (const [i, c] of characters.slice(0, limit).entries()) {
    const edge = i === 0 || i === characters.length - 1;
    const joins =
      c === "\u200d" && pictographic.test(characters[i - 1] ?? "") && pictographic.test(characters[i + 1] ?? "");
    if (c === " ") result += edge || characters[i - 1] === " " ? "␣" : " ";
    else if (HIDDEN.test(c) && !joins) result += NAMED[c] ?? `⟨${(c.codePointAt(0) ?? 0).toString(16).toUpperCase()}⟩`;
    else result += c;
  }
  if (characters.length > limit) result += "…";
  return RIGHT_TO_LEFT.test(result) ? `\u2068${result}\u2069` : result; // isolated: it must not move its neighbours
}
