/** The input and the output as what they are: a picture, a clip or a sound, with the weights over it. */
import type { ReadonlySignal } from "@preact/signals-core";
import { html, setCount, setText } from "../dom.ts";
import type { Store } from "../store.ts";
import { colour, css, ink } from "../theme.ts";
import type { Scene } from "../wire.ts";
import { exact, short, shown } from "../text.ts";
import type { Layout } from "./layout.ts";
import { boxOf, sceneLayout, tokenAt, type SceneLayout } from "./scene-layout.ts";
import { paintScene, topOf } from "./scene-paint.ts";
import { inputOf, outputOf, readByKeys, type Strip } from "./strip.ts";
import type { View } from "./view.ts";
import type { Words } from "../words/index.ts";

export const inputScene: View = {
  name: "input-scene",
  mount: (host, store, layout, signal) => mountScene(host, store, layout, signal, inputOf(store, layout)),
};

export const outputScene: View = {
  name: "output-scene",
  mount: (host, store, layout, signal) => mountScene(host, store, layout, signal, outputOf(store, layout)),
};

function mountScene(
  host: HTMLElement,
  store: Store,
  room: ReadonlySignal<Layout>,
  signal: AbortSignal,
  strip: Strip,
): void {
  host.classList.add("attnwidget-scene");
  const label = html("span", "strip-label");
  const canvas = html("canvas", "scene-canvas", { "aria-hidden": "true" });
  const cell = html("div", "scene-cell", { role: "gridcell" });
  const stage = html(
    "div",
    "scene-stage",
    { role: "grid", tabindex: 0 },
    canvas,
    html("div", "", { role: "row" }, cell),
  );
  const beside = html("div", "scene-beside");
  const legend = html("div", "note");
  host.append(label, beside, stage, legend);
  let layout: SceneLayout = { width: 0, height: 0, frames: [] };

  const tokenOf = (event: MouseEvent) => {
    const scene = strip.scene();
    const box = stage.getBoundingClientRect();
    return scene && tokenAt(scene, layout, event.clientX - box.left, event.clientY - box.top);
  };
  const choose = (token: number | null) => {
    if (token !== null) strip.choose(token);
  };
  stage.addEventListener("pointermove", (event) => strip.hover(tokenOf(event)), { signal });
  stage.addEventListener("click", (event) => choose(tokenOf(event)), { signal });
  for (const node of [stage, beside]) node.addEventListener("pointerleave", () => strip.hover(null), { signal });
  stage.addEventListener("blur", () => strip.hover(null), { signal });
  const chipOf = (event: Event) => {
    const chip = event.target instanceof Element ? event.target.closest("[data-token]") : null;
    return chip instanceof HTMLElement ? Number(chip.dataset.token) : null;
  };
  beside.addEventListener("pointermove", (event) => strip.hover(chipOf(event)), { signal });
  beside.addEventListener("click", (event) => choose(chipOf(event)), { signal });
  readByKeys(stage, store, strip, signal, () => strip.scene()?.grid[2] ?? 0);

  store.draw(signal, () => {
    const scene = strip.scene();
    host.toggleAttribute("hidden", scene === null);
    if (!scene) return;
    host.toggleAttribute("data-lit", store.spot.value.includes(strip.name() ?? ""));
    layout = sceneLayout(scene, room.value.scene);
    const shades = strip.shades();
    stage.style.width = `${layout.width}px`;
    stage.style.height = `${layout.height}px`;
    stage.setAttribute("aria-label", store.words.scene(strip.label(), store.words.scenes[scene.kind]));
    setText(label, strip.label());
    paintScene(canvas, store, scene, layout, { shades, gazed: strip.gazed(), locked: strip.locked() });
    setText(legend, shades ? legendOf(scene, shades, strip.texts(), store.words) : "");
    moveCell(cell, scene, layout, strip, shades);
    drawBeside(beside, store, scene, strip, shades);
  });
}

/** Which part is strongest, and that colours are scaled to it. */
function legendOf(scene: Scene, shades: Float32Array, texts: string[], words: Words): string {
  const top = topOf(scene, shades);
  const token = shades.indexOf(top, scene.before);
  return top > 0 ? words.sceneScale(shown(texts[token] ?? ""), short(top)) : words.nothing;
}

function moveCell(
  cell: HTMLElement,
  scene: Scene,
  layout: SceneLayout,
  strip: Strip,
  shades: Float32Array | null,
): void {
  const token = Math.max(0, strip.gazed());
  const box = boxOf(scene, layout, token);
  for (const side of ["width", "height"] as const) cell.style[side] = `${box?.[side] ?? 0}px`;
  cell.style.left = `${box?.x ?? 0}px`;
  cell.style.top = `${box?.y ?? 0}px`;
  const text = shown(strip.texts()[token] ?? "");
  cell.setAttribute("aria-label", shades ? `${text}, ${exact(shades[token] ?? Number.NaN)}` : text);
}

/** Tokens that are no part of the scene stand beside it. */
function drawBeside(host: HTMLElement, store: Store, scene: Scene, strip: Strip, shades: Float32Array | null): void {
  const texts = strip.texts();
  const n = scene.grid[0] * scene.grid[1] * scene.grid[2];
  const tokens = [...texts.keys()].filter((token) => token < scene.before || token >= scene.before + n);
  const locked = strip.locked();
  host.toggleAttribute("hidden", !tokens.length);
  for (const [i, node] of setCount(host, tokens.length, () => html("span", "token attnwidget-scene-chip")).entries()) {
    const token = tokens[i] ?? 0;
    const weight = shades?.[token] ?? Number.NaN;
    const rgb = colour(weight / (shades ? store.rowTop(shades) : 1), store.dark.value);
    node.dataset.token = String(token);
    setText(node, shown(texts[token] ?? ""));
    node.style.backgroundColor = shades ? css(rgb) : "";
    node.style.color = shades ? ink(rgb) : "";
    node.toggleAttribute("data-gaze", token === strip.gazed());
    node.toggleAttribute("data-locked", locked.includes(token));
    node.toggleAttribute("data-ghost", strip.ghost(token));
  }
}
