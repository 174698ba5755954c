import { describe, expect, it } from "vitest";
import cases from "../../tests/data/diagrams.json?raw";
import { type Face, plan } from "../src/views/diagram-layout.ts";
import type { EdgeData } from "../src/wire.gen.ts";

interface Case {
  name: string;
  width: number;
  faces: [string, Face["kind"], string, string, string, number][];
  edges: [string, string, EdgeData["kind"]][];
  taken: number;
  boxes: number[][];
  lines: [string, string, string, string, number, number, string][];
}

const measure = (text: string, fontPx: number) => text.length * fontPx * 0.58;
const letters = (path: string) => path.replace(/[-\d. ]/g, "");
const numbers = (path: string) => (path.match(/-?\d+(\.\d+)?/g) ?? []).map(Number);

/** `tests/unit/test_figure_diagram.py` holds figures for print against the same cases. */
describe("diagrams on the screen and in print", () => {
  it.each(JSON.parse(cases) as Case[])("are laid out alike: $name, $width", (each) => {
    const faces = each.faces.map(([id, kind, title, detail, parent, lane]) => ({
      ...{ id, kind, title, detail, parent, lane },
      opens: false,
    }));
    const edges = each.edges.map(([source, target, kind]) => ({ source, target, kind }));
    const { width, boxes, lines } = plan(faces, edges, each.width, measure);
    expect(width).toBeCloseTo(each.taken, 2);
    const placed = boxes.map((box) => [box.x, box.y, box.width, box.height, box.axis, box.words.x, box.words.room]);
    for (const [i, place] of placed.flat().entries()) expect(place).toBeCloseTo(each.boxes.flat()[i] ?? Number.NaN, 2);
    expect(lines.map((line) => [line.source, line.target])).toEqual(each.lines.map((line) => line.slice(0, 2)));
    for (const [i, { d, head, label }] of lines.entries()) {
      const [, , path = "", tip = "", x = 0, y = 0, anchor] = each.lines[i] ?? [];
      expect([letters(d), letters(head), label.anchor]).toEqual([letters(path), letters(tip), anchor]);
      const wanted = [...numbers(path), ...numbers(tip), x, y];
      for (const [j, n] of [...numbers(d), ...numbers(head), label.x, label.y].entries())
        expect(n).toBeCloseTo(wanted[j] ?? Number.NaN, 2);
    }
  });
});
