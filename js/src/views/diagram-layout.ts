/** Where the blocks of the diagram stand: rows from left to right, what is inside a tower in its order, and the lines. */
import type { EdgeData } from "../wire.gen.ts";
import { ARC_ROOM, isArc, type Line, line, middle } from "./diagram-lines.ts";
import type { Measure } from "./text-width.ts";

/** A block with the words in it. */
export interface Face {
  id: string;
  kind: "strip" | "module" | "tower" | "attention" | "context";
  title: string;
  detail: string;
  parent: string;
  lane: number;
  /** it has a mark that says so */
  opens: boolean;
}

/** In CSS pixels. */
export interface Box extends Face {
  /** where the flow enters it, from its upper edge */
  axis: number;
  /** of a tower: where its words begin, and how wide they may be */
  words: { x: number; room: number };
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Plan {
  width: number;
  height: number;
  boxes: Box[];
  lines: Line[];
}

export const TITLE_PX = 12;
export const DETAIL_PX = 10.5;
export const CHEVRON_PX = 14;
export const HEADER = 25;
const BOX_HEIGHT = 42;
const PAD = 10;
const BOX_WIDTH = [62, 184] as const;
const INNER_GAP = 14;
/** Room beside the column of a tower for the keys that come from another row. */
const KEYS_ROOM = 14;
const LANE_GAP = 40;
const GAPS = [22, 96] as const;

interface Manner {
  /** the widest detail that makes a box wider */
  detail: number;
  gap: number;
  /** beside the words of a box, on either side */
  pad: number;
  /** what is inside a tower stands in a column */
  column: boolean;
}
/** From roomy to narrow; the first that fits is taken. */
const MANNERS: Manner[] = [
  { detail: 150, gap: GAPS[0], pad: PAD, column: false },
  { detail: 110, gap: 16, pad: PAD, column: false },
  { detail: 84, gap: 9, pad: PAD, column: false },
  { detail: 150, gap: GAPS[0], pad: PAD, column: true },
  { detail: 92, gap: 16, pad: PAD, column: true },
  { detail: 0, gap: 10, pad: PAD, column: true },
  { detail: 0, gap: 8, pad: 6, column: true },
];

/** Lays out a diagram over a width; it is wider where even the narrowest manner does not fit. */
export function plan(faces: Face[], edges: EdgeData[], width: number, measure: Measure): Plan {
  const towers = new Set(faces.filter((face) => face.kind === "tower" && !face.parent).map((face) => face.id));
  const known = new Set(faces.map((face) => face.id));
  faces = faces.map((face) => (towers.has(face.parent) && face.kind !== "tower" ? face : { ...face, parent: "" }));
  const kept = edges.filter((edge) => known.has(edge.source) && known.has(edge.target));
  let sizes = new Map<string, Box>();
  let manner = MANNERS[0] as Manner;
  for (manner of MANNERS) {
    sizes = new Map(faces.map((face) => [face.id, sized(face, manner, measure)]));
    for (const face of faces) if (face.kind === "tower") enclose(face.id, faces, kept, sizes, manner);
    if (widest(faces, sizes, manner.gap) <= width) break;
  }
  const whole = Math.max(width, widest(faces, sizes, manner.gap));
  let y = 1;
  for (const lane of lanesOf(faces)) {
    y = place(lane, faces, sizes, manner.gap, whole > width ? 0 : whole, y);
    const arcs = kept.some((edge) => isArc(edge, sizes) && sizes.get(edge.source)?.lane === lane[0]?.lane);
    y += LANE_GAP + (arcs ? ARC_ROOM : 0);
  }
  align(faces, kept, sizes, whole);
  const boxes = faces.flatMap((face) => sizes.get(face.id) ?? []);
  return {
    width: whole,
    height: Math.max(0, y - LANE_GAP + 2),
    boxes,
    lines: kept.flatMap((edge) => line(edge, sizes)),
  };
}

function sized(face: Face, manner: Manner, measure: Measure): Box {
  const words = Math.max(
    measure(face.title, TITLE_PX),
    Math.min(face.kind === "strip" ? 90 : manner.detail, measure(face.detail, DETAIL_PX)),
  );
  const width = words + 2 * manner.pad + (face.opens ? CHEVRON_PX : 0);
  return {
    ...face,
    x: 0,
    y: 0,
    width: clampWidth(width),
    height: BOX_HEIGHT,
    axis: BOX_HEIGHT / 2,
    words: { x: 0, room: 0 },
  };
}

const clampWidth = (width: number) => Math.ceil(Math.max(BOX_WIDTH[0], Math.min(BOX_WIDTH[1], width)));

/** Gives a tower the size of what is inside it, and puts that in its place, counted from the tower's corner. */
function enclose(id: string, faces: Face[], edges: EdgeData[], sizes: Map<string, Box>, manner: Manner): void {
  const tower = sizes.get(id);
  const inside = faces.flatMap((face) => (face.parent === id ? (sizes.get(face.id) ?? []) : []));
  if (!tower || !inside.length) return;
  const aside = edges.flatMap((edge) => (edge.kind === "keys" ? inside.filter((box) => box.id === edge.target) : []));
  const gated = edges.some((edge) => edge.kind === "gate" && inside.some((box) => box.id === edge.source));
  const column = manner.column || gated;
  const left = PAD + (column && aside.length ? KEYS_ROOM : 0);
  const sum = inside.reduce((total, box) => total + box.width + INNER_GAP, -INNER_GAP);
  const within = Math.max(tower.width - left - PAD, column ? Math.max(...inside.map((box) => box.width)) : sum);
  let [x, y] = [left, HEADER];
  for (const box of inside) {
    const width = column ? within : box.width + (within - sum) / inside.length;
    Object.assign(box, { x, y, width });
    if (column) y += BOX_HEIGHT + INNER_GAP;
    else x += width + INNER_GAP;
  }
  tower.width = left + within + PAD;
  tower.height = (column ? y - INNER_GAP : HEADER + BOX_HEIGHT) + PAD;
  tower.axis = (tower.height + HEADER - PAD) / 2;
  const crossed = column ? [] : aside.map((box) => middle(box) - 6); // by the line of the keys, which ends at its box
  tower.words = { x: left, room: Math.min(tower.width - PAD - CHEVRON_PX - 4, ...crossed) - left };
}

function lanesOf(faces: Face[]): Face[][] {
  const lanes = new Map<number, Face[]>();
  for (const face of faces) if (!face.parent) lanes.set(face.lane, [...(lanes.get(face.lane) ?? []), face]);
  return [...lanes.entries()].sort(([a], [b]) => a - b).map(([, lane]) => lane);
}

const laneWidth = (lane: Face[], sizes: Map<string, Box>, gap: number) =>
  lane.reduce((sum, face) => sum + (sizes.get(face.id)?.width ?? 0), gap * (lane.length - 1)) + 2;

const widest = (faces: Face[], sizes: Map<string, Box>, gap: number) =>
  Math.max(0, ...lanesOf(faces).map((lane) => laneWidth(lane, sizes, gap)));

/** Puts a row at a height, spread over the width; returns where it ends. */
function place(lane: Face[], faces: Face[], sizes: Map<string, Box>, least: number, width: number, y: number): number {
  const room = width - laneWidth(lane, sizes, 0);
  const gap = Math.max(least, Math.min(GAPS[1], room / Math.max(1, lane.length - 1)));
  const boxes = lane.flatMap((face) => sizes.get(face.id) ?? []);
  const axis = Math.max(...boxes.map((box) => box.axis));
  let x = 1;
  for (const box of boxes) {
    move(box, x, y + axis - box.axis, faces, sizes);
    x += box.width + gap;
  }
  return Math.max(...boxes.map((box) => box.y + box.height));
}

function move(box: Box, dx: number, dy: number, faces: Face[], sizes: Map<string, Box>): void {
  box.x += dx;
  box.y += dy;
  for (const face of faces) {
    const inner = face.parent === box.id ? sizes.get(face.id) : undefined;
    if (inner) move(inner, dx, dy, faces, sizes);
  }
}

/** Moves rows so that what asks stands below what it asks. */
function align(faces: Face[], edges: EdgeData[], sizes: Map<string, Box>, width: number): void {
  for (const edge of edges) {
    const [asks, asked] = [sizes.get(edge.source), sizes.get(edge.target)];
    if (edge.kind !== "query" || !asks || !asked || asks.lane === asked.lane || asks.parent) continue;
    const row = faces.flatMap((face) => (face.lane === asks.lane && !face.parent ? (sizes.get(face.id) ?? []) : []));
    const right = Math.max(...row.map((box) => box.x + box.width));
    const left = Math.min(...row.map((box) => box.x));
    const wanted = middle(asked) - middle(asks);
    const by = Math.max(1 - left, Math.min(width - 1 - right, wanted));
    for (const box of row) move(box, by, 0, faces, sizes);
  }
}
