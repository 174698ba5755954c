// Written by `python -m attnwidget.wire` from attnwidget/wire. Do not edit.

export const PROTOCOL = 3;

export const MEAN = -1;

export const HEADS_WEIGHTS = 16777216;

export const WHOLE_WEIGHTS = 262144;

export const AHEAD_WEIGHTS = 4194304;

/** What the tokens of a strip are parts of; its pixels stand at `offset` behind the header. */
export interface SceneData {
  /** its type */ kind: "image" | "video" | "audio";
  /** frames, rows and columns of tokens */ grid: number[];
  /** tokens of the strip before the first of them */ before: number;
  /** how long it lasts */ seconds: number | null;
  /** frames, rows, columns and channels of its pixels, one byte each */ shape: number[];
  /** where they begin, counted from the end of the header */ offset: number;
}

/** Tokens of one strip from position `at` on. What is not here is asked for. */
export interface StripData {
  /** source, target, or another name */ name: string;
  /** how many tokens the strip has by now */ n_tokens: number;
  /** position of the first of these tokens */ at: number;
  /** their texts */ texts: string[];
  /** what they are parts of, with the first of them */ scene: SceneData | null;
}

/** Something unusual in the weights of a site. */
export interface FlagData {
  /** nan, infinite, negative, above_one, row_sum, zero_row, column_sum, missing, reduced or mask */ kind: string;
  /** how often */ count: number;
  /** the first places, each [head, query, key]; -1 where an axis does not apply */ where: number[][];
}

/** One place where weights are taken. */
export interface SiteData {
  /** unique in the trace */ name: string;
  /** which attention */ kind: "encoder" | "decoder" | "cross";
  /** ordinal among the sites of its kind */ layer: number;
  /** number of heads */ n_heads: number;
  /** strip that the queries count */ query: string;
  /** strip that the keys count */ key: string;
  /** whether a query is the state before or after a step's input */ asks: "" | "before" | "after";
  /** rows so far */ n_queries: number;
  /** columns so far */ n_keys: number;
  /** what is unusual in its weights */ flags: FlagData[];
}

/** A token that the decoder could have chosen. */
export interface CandidateData {
  /** its text */ token: string;
  /** 0 to 1 */ probability: number;
}

/** One decoder step. */
export interface StepData {
  /** the token that it chose */ token: string;
  /** the most probable tokens, best first */ candidates: CandidateData[];
}

/** Weights of one head of one site, or the largest of small rectangles of them; bytes stand at `offset`. */
export interface BlockData {
  /** index into sites */ site: number;
  /** index of the head; -1 for the mean over heads */ head: number;
  /** first and end of its rows, and of how many one value is the largest */ queries: number[];
  /** first and end of its columns, likewise */ keys: number[];
  /** these are whole rows; keys after the last one have 0 */ whole: boolean;
  /** not all of its rows were read yet: there may be larger weights */ sampled: boolean;
  /** f4, f2: floats. u1: see below */ dtype: "f4" | "f2" | "u1";
  /** where its bytes begin, a multiple of 4, counted from the end of the header */ offset: number;
  /** how many bytes stand there */ n_bytes: number;
  /** u1 only: how many values are not finite */ n_odd: number;
  /** u1 only: where one byte a weight begins, counted from the end of the header */ levels: number;
}

/** What each key of a head received from its first rows: float32 [key] at `offset` behind the header. */
export interface SumsData {
  /** index into sites */ site: number;
  /** index of the head; -1 for the mean over heads */ head: number;
  /** how many rows are in it */ n_steps: number;
  /** where its bytes begin, counted from the end of the header */ offset: number;
}

/** One array of numbers, float32; its bytes stand at `offset` behind the header. */
export interface ArrayData {
  /** its type */ name: "scores" | "query" | "keys" | "pairs" | "vector" | "bias";
  /** its axes; the last one counts features, or for scores and bias keys */ shape: number[];
  /** where its bytes begin, counted from the end of the header */ offset: number;
}

/** What the weights of one row of one head came of. See `attnwidget.terms.Terms`. */
export interface TermsData {
  /** index into sites */ site: number;
  /** index of the head */ head: number;
  /** index of the row; -1 for all of a head of which nothing was recorded */ query: number;
  /** how a score is computed; empty where that was not recorded */ form: "" | "dot" | "additive";
  /** what the product of query and key is multiplied with */ scale: number;
  /** a scaled product x becomes softcap * tanh(x / softcap) */ softcap: number | null;
  /** one more score that is no key */ sink: number | null;
  /** scores, and what they came of; none where nothing was recorded */ arrays: ArrayData[];
}

/** What heads attend to on the whole, a number for each head, null where it has none. See `attnwidget.heads`. */
export interface StatisticsData {
  /** of a row, bits */ entropy: (number | null)[];
  /** between a query and what it attends to, tokens */ distance: (number | null)[];
  /** weight on the token before */ previous: (number | null)[];
  /** weight on the first key */ first: (number | null)[];
  /** weight on the token itself, or along the line from corner to corner */ diagonal: (number | null)[];
  /** weight on what followed the same token before */ induction: (number | null)[];
}

/** Statistics of some heads of a site, and a small picture of each: bytes at `offset` behind the header. */
export interface HeadsData {
  /** index into sites */ site: number;
  /** the first of these heads */ at: number;
  /** how many there are */ n_heads: number;
  /** how many queries they had */ n_queries: number;
  /** how many of these queries were read, from all over where not all */ n_read: number;
  /** rows of a picture; 0 where there are no pictures */ n_rows: number;
  /** columns of a picture */ n_columns: number;
  /** where they begin, counted from the end of the header */ offset: number;
  /** a number for each of these heads */ statistics: StatisticsData;
}

/** A block of the diagram. */
export interface NodeData {
  /** unique in the diagram */ id: string;
  /** what it is */ kind: "strip" | "module" | "tower" | "attention" | "context" | "part";
  /** what to call it; empty where its kind, strip or sites say that */ label: string;
  /** more about it */ detail: string;
  /** of what it read, as in 1 × 12 × 64 */ shape: string;
  /** id of the block that it is inside of; empty for those that stand alone */ parent: string;
  /** the row in which it stands, from 0 */ lane: number;
  /** how many layers it stands for */ repeat: number;
  /** names of the sites in it, layer by layer */ sites: string[];
  /** of a strip, its name */ strip: string;
}

/** A connection of two blocks. */
export interface EdgeData {
  /** id of the block that gives */ source: string;
  /** id of the block that takes */ target: string;
  /** what goes along it */ kind: "flow" | "keys" | "query" | "gate";
}

/** The diagram of the network: blocks row by row, parts behind what they are part of. */
export interface ArchitectureData {
  /** blocks */ nodes: NodeData[];
  /** connections */ edges: EdgeData[];
}

/** A trace, or what is new of it. */
export interface PictureData {
  /** version of the wire */ protocol: number;
  /** which recording; another run replaces everything */ run: string;
  /** number of messages of this run that this picture includes */ seq: number;
  /** shown above the picture */ title: string;
  /** how far the recording is */ status: "empty" | "recording" | "complete" | "stopped";
  /** tokens */ strips: StripData[];
  /** all sites, always */ sites: SiteData[];
  /** index of the first of these steps */ steps_at: number;
  /** steps */ steps: StepData[];
  /** weights */ blocks: BlockData[];
  /** bytes that the kernel keeps of large heads beside the trace; 0 where it says nothing */ kept: number;
  /** strength of keys, where not all weights are here */ sums: SumsData[];
  /** what some of the weights came of */ terms: TermsData[];
  /** heads as a whole, of some sites or none */ heads: HeadsData[];
  /** the diagram; null where this picture changes nothing in it */ architecture: ArchitectureData | null;
}

/** What a head's weights must come to once all its rows are there. */
export interface DigestData {
  /** index into sites */ site: number;
  /** index of the head */ head: number;
  /** CRC-32 of its weights as little-endian float32 [query, key] */ crc: number;
}

/** kernel -> page: new steps. Its one buffer is a packed picture. */
export interface RowsMessage {
  /** its type */ t: "rows";
  /** run of the picture */ run: string;
  /** number of this message in the run, from 0, without gaps */ seq: number;
}

/** kernel -> page: nothing more will come, and this is what must have arrived. */
export interface EndMessage {
  /** its type */ t: "end";
  /** which recording */ run: string;
  /** number of rows messages in the run */ count: number;
  /** one for each head that was streamed */ digests: DigestData[];
}

/** kernel -> page: the answer to what a page asks for. Its one buffer is a packed picture. */
export interface BlocksMessage {
  /** its type */ t: "blocks";
  /** run of the picture */ run: string;
}

/** kernel -> page: what was asked for is not in the trace. */
export interface RefusedMessage {
  /** its type */ t: "refused";
  /** which recording */ run: string;
  /** what came and what was expected */ reason: string;
}

/** page -> kernel: how far has the run come? The answer is an end, an empty picture, or another run's frame. */
export interface ReadyMessage {
  /** its type */ t: "ready";
  /** which recording */ run: string;
  /** the first message that it lacks */ seq: number;
}

/** page -> kernel: send these rows messages again. */
export interface NeedMessage {
  /** its type */ t: "need";
  /** which recording */ run: string;
  /** numbers of the messages that did not come */ seqs: number[];
}

/** page -> kernel: send all weights of one head. */
export interface FetchMessage {
  /** its type */ t: "fetch";
  /** which recording */ run: string;
  /** index into sites */ site: number;
  /** index of the head; -1 for the mean over heads */ head: number;
}

/** page -> kernel: send more tokens of a strip, from position `at` on. */
export interface TextsMessage {
  /** its type */ t: "texts";
  /** which recording */ run: string;
  /** name of the strip */ strip: string;
  /** position of the first token that is wanted */ at: number;
}

/** page -> kernel: this part of a head is looked at. The answers are blocks: coarse ones at first, then exact. */
export interface ViewMessage {
  /** its type */ t: "view";
  /** which recording */ run: string;
  /** index into sites */ site: number;
  /** index of the head; -1 for the mean over heads */ head: number;
  /** first and end of the rows, and how many make a cell */ queries: number[];
  /** first and end of the columns, and how many make a cell */ keys: number[];
  /** the row that is read in full, and up to which strength is summed */ step: number;
  /** 0 where the cells are here, and rows and sums are asked for alone */ cells: number;
}

/** page -> kernel: say what the weights of one row of one head came of. */
export interface WhyMessage {
  /** its type */ t: "why";
  /** which recording */ run: string;
  /** index into sites */ site: number;
  /** index of the head */ head: number;
  /** index of the row */ query: number;
}

/** page -> kernel: tell of all heads of one site. The answers tell of some of them each. */
export interface HeadsMessage {
  /** its type */ t: "heads";
  /** which recording */ run: string;
  /** index into sites */ site: number;
}

export type ToPage = RowsMessage | EndMessage | BlocksMessage | RefusedMessage;

export type ToKernel = ReadyMessage | NeedMessage | FetchMessage | TextsMessage | ViewMessage | WhyMessage | HeadsMessage;

/** The synced traits. */
export interface Traits {
  /** expected strength: 1, number of queries / number of keys, none, or what `expected` says; auto is 1 where keys are words that share out a sum and are no output of the decoder itself, else none */ expectation: "auto" | "one" | "ratio" | "none" | "own";
  /** strength that is expected of each key where `expectation` is own */ expected: number[];
  /** whether the step is the last one, which a view that is made later shows; written by the kernel */ follows: boolean;
  /** zlib of a packed picture: the whole trace, weights of the selection first */ frame: DataView;
  /** selected head; -1 for the mean over heads */ head: number;
  /** what the page speaks: English, Chinese, or the language of the page around it */ language: "auto" | "en" | "zh";
  /** the largest step of the selected site; written by the kernel */ last_step: number;
  /** inputs that were clicked: indices of keys */ locked: number[];
  /** version of the wire; written by the kernel */ protocol: number;
  /** what the rows of the heatmap are: queries, or keys */ rows: "query" | "key";
  /** colours from 0 to 1, or to each row's maximum; auto is the latter where heads are large */ scale: "auto" | "absolute" | "row";
  /** model id of a bqplot index selector that is the step; may be empty */ selector: string;
  /** selected site, index into sites */ site: number;
  /** whether special keys are kept, dimmed, or left out and the other weights renormalised */ special: "keep" | "dim" | "omit";
  /** keys that count as special; empty for special tokens by their text, and sinks */ special_keys: number[];
  /** selected query row, from 0 */ step: number;
  /** strength over all steps so far, or in this step alone */ strength: "sum" | "step";
}
