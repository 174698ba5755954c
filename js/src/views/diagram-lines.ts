/** The lines of the diagram, from box to box. */
import type { EdgeData } from "../wire.gen.ts";
import type { Box } from "./diagram-layout.ts";

/** In CSS pixels. */
export interface Line extends EdgeData {
  d: string;
  /** where words about it stand, and to which side of that they go */
  label: { x: number; y: number; anchor: "middle" | "start" };
  /** the head of an arrow, which a query has; else empty */
  head: string;
}

/** How far a query that goes back reaches below its row, and its words below that. */
const ARC = 26;
const ARC_WORDS = 16;
export const ARC_ROOM = ARC + ARC_WORDS;
const CORNER = 10;
const HEAD = 5;

export const middle = (box: Box) => box.x + box.width / 2;

/** Tells a query that goes back to a box of its own row. */
export function isArc(edge: EdgeData, boxes: Map<string, Box>): boolean {
  return edge.kind === "query" && boxes.get(edge.source)?.lane === boxes.get(edge.target)?.lane;
}

export function line(edge: EdgeData, boxes: Map<string, Box>): Line[] {
  const [from, to] = [boxes.get(edge.source), boxes.get(edge.target)];
  if (!from || !to) return [];
  const made = isArc(edge, boxes)
    ? arc(from, to)
    : edge.kind === "gate" || (from.parent && from.parent === to.parent && from.x === to.x)
      ? upright(from, to)
      : from.lane === to.lane
        ? plain(`M${from.x + from.width} ${from.y + from.axis}L${to.x} ${to.y + to.axis}`)
        : edge.kind === "flow"
          ? elbow(from, to)
          : between(from, to, edge.kind === "keys" ? boxes.get(to.parent) : undefined);
  return [{ ...edge, ...made, head: edge.kind === "query" ? made.head : "" }];
}

type Made = Omit<Line, keyof EdgeData>;
const plain = (d: string): Made => ({ d, head: "", label: { x: 0, y: 0, anchor: "middle" } });
const tip = (x: number, y: number, up: boolean) =>
  `M${x} ${y}l${-HEAD * 0.8} ${up ? HEAD * 1.6 : -HEAD * 1.6}h${HEAD * 1.6}z`;

function arc(from: Box, to: Box): Made {
  const [x0, x1, end] = [middle(from), middle(to), to.y + to.height];
  const bottom = Math.max(from.y + from.height, end);
  const depth = bottom + ARC * 1.25;
  const d = `M${x0} ${from.y + from.height}C${x0} ${depth} ${x1} ${depth} ${x1} ${end + HEAD}`;
  return { d, head: tip(x1, end, true), label: { x: (x0 + x1) / 2, y: bottom + ARC_ROOM - 3, anchor: "middle" } };
}

function upright(from: Box, to: Box): Made {
  const [upper, lower] = from.y < to.y ? [from, to] : [to, from];
  const [x, y] = [middle(upper), (upper.y + upper.height + lower.y) / 2];
  return { d: `M${x} ${upper.y + upper.height}V${lower.y}`, head: "", label: { x: x + 10, y: y + 4, anchor: "start" } };
}

/** Along the row, then up or down to a box of another one. */
function elbow(from: Box, to: Box): Made {
  const [x0, y0, x1] = [from.x + from.width, from.y + from.axis, middle(to)];
  const end = from.y < to.y ? to.y : to.y + to.height;
  if (x1 <= x0) return plain(between(from, to, undefined).d);
  const r = Math.min(CORNER, x1 - x0, Math.abs(end - y0));
  return plain(`M${x0} ${y0}H${x1 - r}Q${x1} ${y0} ${x1} ${y0 + (end > y0 ? r : -r)}V${end}`);
}

/** From row to row; into a column of boxes from its side, where there is room for that. */
function between(from: Box, to: Box, tower: Box | undefined): Made {
  const down = from.y < to.y;
  const [start, edge] = down
    ? [from.y + from.height, tower?.y ?? to.y]
    : [from.y, tower ? tower.y + tower.height : to.y + to.height];
  const beside =
    tower !== undefined &&
    tower.words.x === to.x - tower.x &&
    to.width + tower.words.x + CORNER >= tower.width &&
    tower.words.x > CORNER;
  const [x0, x1] = [middle(from), beside ? to.x - CORNER : middle(to)];
  const half = (start + edge) / 2;
  const across = Math.abs(x0 - x1) < 1 ? `V${edge}` : `C${x0} ${half} ${x1} ${half} ${x1} ${edge}`;
  const end = down ? to.y : to.y + to.height;
  const y = to.y + to.axis;
  const last = beside ? `V${y - (down ? CORNER : -CORNER)}Q${x1} ${y} ${to.x} ${y}` : `V${end}`;
  const label = { x: Math.max(x0, x1) + 10, y: half + 4, anchor: "start" as const };
  return { d: `M${x0} ${start}${across}${last}`, head: tip(x1, end, !down), label };
}
