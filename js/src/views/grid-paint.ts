/** The tiles of heads on one canvas: pure, the same heads give the same picture. */
import { headName, type Head, type Statistic } from "../heads.ts";
import { every } from "../scales.ts";
import { colour, css, inkOf } from "../theme.ts";
import { short } from "../text.ts";
import { cornerOf, linesIn, type Grid, type Sort } from "./grid-order.ts";

/** What is drawn, beside the grid: the part that is scrolled to, and how. */
export interface Scene {
  heads: Map<string, Head>;
  sort: Sort;
  dark: boolean;
  /** keys are rows, as in the heatmap */
  turned: boolean;
  /** index of the selected tile, and its site */
  selected: number;
  site: number;
  /** cells in a row of the picture that the keys of a head's site are patches of, or 0 */
  across: (head: Head) => number;
  layerName: (site: number) => string;
  groupName: (site: number) => string;
  shortName: (site: number, head: number) => string;
  /** x of the tiles, and the part of the height that is seen */
  left: number;
  top: number;
  width: number;
  height: number;
}

type Inks = (name: Parameters<typeof inkOf>[2]) => string;

/** Colours of a picture, RGBA, and how many there are in a row; a single row over patches is laid out as they are. */
export function pixelsOf(
  head: Head,
  dark: boolean,
  turned: boolean,
  across = 0,
): { rgba: Uint8ClampedArray<ArrayBuffer>; width: number } {
  const isPicture = head.nRows === 1 && across > 0 && head.nColumns % across === 0;
  const width = isPicture ? across : turned ? head.nRows : head.nColumns;
  const rgba = new Uint8ClampedArray(head.nRows * head.nColumns * 4);
  for (const [i, level] of head.levels.entries()) {
    const row = Math.floor(i / head.nColumns);
    const column = i % head.nColumns;
    const at = 4 * (turned && !isPicture ? column * width + row : i);
    rgba.set(colour(level / 255, dark), at);
    rgba[at + 3] = 255;
  }
  return { rgba, width };
}

const images = new WeakMap<Head, { dark: boolean; turned: boolean; image: HTMLCanvasElement }>();

/** A picture as a canvas of its own size. */
function imageOf(head: Head, { dark, turned, across }: Scene): HTMLCanvasElement {
  const known = images.get(head);
  if (known?.dark === dark && known.turned === turned) return known.image;
  const { rgba, width } = pixelsOf(head, dark, turned, across(head));
  const image = document.createElement("canvas");
  image.width = width;
  image.height = rgba.length / 4 / width;
  image.getContext("2d")?.putImageData(new ImageData(rgba, width), 0, 0);
  images.set(head, { dark, turned, image });
  return image;
}

/** Draws what is seen at device pixels. */
export function paintGrid(canvas: HTMLCanvasElement, grid: Grid, scene: Scene): void {
  const context = canvas.getContext("2d");
  const ratio = globalThis.devicePixelRatio || 1;
  const [width, height] = [Math.round(scene.width * ratio), Math.round(scene.height * ratio)];
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  if (!context) return;
  const ink: Inks = (name) => inkOf(canvas, scene.dark, name);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, scene.width, scene.height);
  context.translate(0, -scene.top);
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "left";
  context.textBaseline = "middle";
  for (const { site, top } of grid.titles) write(context, scene.groupName(site), scene.left, top + 9, ink("fg"));
  for (const line of linesIn(grid, scene.top, scene.top + scene.height)) {
    const isSelected = line.site === scene.site;
    const name = line.more ? `${line.more[0] + 1}–${line.more[1]}` : line.site < 0 ? "" : scene.layerName(line.site);
    const shade = ink(isSelected ? "accent" : line.more ? "soft" : "fg");
    context.textAlign = "right";
    write(context, name, scene.left - 9, line.top + grid.size / 2, shade, isSelected);
    context.textAlign = "left";
    for (let index = line.first; index < line.first + line.count; index++) paintTile(context, grid, index, scene, ink);
  }
  if (grid.numbered) writeNumbers(context, grid, scene, ink("soft"));
}

function paintTile(context: CanvasRenderingContext2D, grid: Grid, index: number, scene: Scene, ink: Inks): void {
  const tile = grid.tiles[index];
  if (!tile) return;
  const [dx, y] = cornerOf(grid, index);
  const x = scene.left + dx;
  const head = scene.heads.get(headName(tile.site, tile.head));
  if (head?.levels.length) {
    const image = imageOf(head, scene);
    context.imageSmoothingEnabled = image.width > grid.size;
    context.drawImage(image, x, y, grid.size, grid.size);
  } else if (head) {
    context.fillStyle = css(colour(0, scene.dark));
    context.fillRect(x, y, grid.size, grid.size);
  }
  const isSelected = index === scene.selected;
  context.strokeStyle = ink(isSelected ? "accent" : head ? "line" : "soft");
  context.lineWidth = isSelected ? 2 : 1;
  context.setLineDash(head ? [] : [3, 3]);
  const out = isSelected ? 1 : head ? 0.5 : -0.5;
  context.strokeRect(x - out, y - out, grid.size + 2 * out, grid.size + 2 * out);
  context.setLineDash([]);
  if (!grid.below) return;
  const value = head?.statistics[scene.sort.replace("-", "") as Statistic] ?? null;
  context.textAlign = "center";
  const middle = x + grid.size / 2;
  write(context, scene.shortName(tile.site, tile.head), middle, y + grid.size + 9, ink(isSelected ? "accent" : "soft"));
  write(context, value === null ? "–" : short(value), middle, y + grid.size + 21, ink("fg"));
  context.textAlign = "left";
}

/** Heads are numbered above the first line. */
function writeNumbers(context: CanvasRenderingContext2D, grid: Grid, scene: Scene, ink: string): void {
  const line = grid.lines[0];
  if (!line) return;
  const longest = grid.lines.reduce((most, { count }) => Math.max(most, count), 0);
  const step = every(grid.pitch, 16);
  context.textAlign = "center";
  for (let i = 0; i < longest; i += step)
    write(context, String(i + 1), scene.left + i * grid.pitch + grid.size / 2, line.top - 9, ink);
}

function write(context: CanvasRenderingContext2D, text: string, x: number, y: number, ink: string, bold = false): void {
  context.fillStyle = ink;
  context.font = `${bold ? "700 " : ""}11px system-ui, sans-serif`;
  context.fillText(text, x, y);
}
