/** What is shown and when: site, layer, head, and the step with its player. */
import { effect } from "@preact/signals-core";
import { html, iconButton, select, setEnabled, setOptions, setText, title } from "../dom.ts";
import type { Store } from "../store.ts";
import { MEAN } from "../wire.gen.ts";
import { shown } from "../text.ts";
import { chooseSite } from "./site-choice.ts";
import { groupsOf, siteName } from "./sites.ts";
import { oneStop } from "./stops.ts";
import type { View } from "./view.ts";

/** Steps per second. */
const SPEEDS = [1, 2, 4, 8, 16];
const ICONS = {
  first: "M3 3h2v10H3zM13 3v10L6 8z",
  previous: "M11 3v10L4 8z",
  play: "M4 2.5v11L13.5 8z",
  pause: "M4 3h3v10H4zM9 3h3v10H9z",
  next: "M5 3v10l7-5z",
  last: "M11 3h2v10h-2zM3 3v10l7-5z",
};

export const controls: View = {
  name: "controls",
  mount(host, store, _layout, signal) {
    const name = title();
    host.append(name, ...siteFields(store, signal), player(store, signal));
    oneStop(host, signal, host.querySelector("[type=range]")); // whose arrows choose the step
    store.draw(signal, () => setText(name, store.outline.value.title || store.words.name));
  },
};

function siteFields(store: Store, signal: AbortSignal): HTMLElement[] {
  const site = select(store.words.site);
  const layer = select(store.words.layer);
  const head = select(store.words.head);
  const sites = () => store.outline.value.sites;
  site.control.addEventListener("change", () => chooseSite(store, Number(site.control.value)), { signal });
  layer.control.addEventListener("change", () => chooseSite(store, Number(layer.control.value)), { signal });
  head.control.addEventListener("change", () => store.select({ head: Number(head.control.value) }), { signal });
  store.draw(signal, () => {
    const { site: index, head: chosen } = store.selection.value;
    const groups = groupsOf(sites());
    const current = sites()[index];
    const layers = groups.find((members) => members.includes(index)) ?? [];
    const choices = groups.map((members): [string, string] => {
      const first = members[0] ?? 0;
      return [String(members.includes(index) ? index : first), siteName(sites(), first, groups, store.words)];
    });
    setOptions(site.control, choices, String(index));
    setOptions(
      layer.control,
      layers.map((i, n) => [String(i), `${n + 1} of ${layers.length}`]),
      String(index),
    );
    const nHeads = current?.nHeads ?? 1;
    const heads = Array.from({ length: nHeads }, (_, h): [string, string] => [
      String(h),
      store.words.headOf(h, nHeads),
    ]);
    setOptions(
      head.control,
      nHeads > 1 ? [[String(MEAN), store.words.mean(nHeads)], ...heads] : heads,
      String(nHeads > 1 ? chosen : 0),
    );
    layer.field.toggleAttribute("hidden", layers.length < 2);
    site.field.toggleAttribute("hidden", !current);
    head.field.toggleAttribute("hidden", !current);
  });
  return [site.field, layer.field, head.field];
}

function player(store: Store, signal: AbortSignal): HTMLElement {
  const last = () => Math.max(0, store.nSteps.value - 1);
  const go = (step: number) => {
    store.playing.value = false;
    store.select({ step: Math.max(0, Math.min(last(), step)) });
  };
  const step = () => store.selection.value.step;
  const first = iconButton("button", store.words.first, ICONS.first);
  const previous = iconButton("button", store.words.previous, ICONS.previous);
  const play = iconButton("button attnwidget-play", store.words.play, ICONS.play);
  const next = iconButton("button", store.words.next, ICONS.next);
  const end = iconButton("button", store.words.last, ICONS.last);
  const slider = html("input", "slider", { type: "range", min: 0, max: 0, step: 1, "aria-label": store.words.step });
  const label = html("span", "step-label");
  const speed = select(store.words.speed);
  setOptions(
    speed.control,
    SPEEDS.map((n) => [String(n), store.words.perSecond(n)]),
    "2",
  );
  first.addEventListener("click", () => go(0), { signal });
  previous.addEventListener("click", () => go(step() - 1), { signal });
  next.addEventListener("click", () => go(step() + 1), { signal });
  end.addEventListener("click", () => go(last()), { signal });
  slider.addEventListener("input", () => go(slider.valueAsNumber), { signal });
  play.addEventListener(
    "click",
    () => {
      if (store.nSteps.value < 2) return;
      if (!store.playing.value && step() >= last()) store.select({ step: 0 });
      store.playing.value = !store.playing.value;
    },
    { signal },
  );
  playOn(store, signal, () => 1000 / Number(speed.control.value), last);
  store.draw(signal, () => {
    const { queries, site } = store.slice.value;
    const name = store.words.rowNames[site?.kind ?? "cross"];
    const n = store.nSteps.value;
    const on = store.playing.value;
    slider.max = String(last());
    slider.value = String(step());
    slider.style.setProperty("--attnwidget-done", `${n > 1 ? (100 * step()) / (n - 1) : 100}%`);
    slider.setAttribute("aria-valuetext", store.words.stepText(step(), n, name, shown(queries[step()] ?? "")));
    setText(label, store.words.stepOf(step(), n, name));
    play.setAttribute("aria-label", on ? store.words.pause : store.words.play);
    play.title = on ? store.words.pause : store.words.play;
    play.querySelector("path")?.setAttribute("d", on ? ICONS.pause : ICONS.play);
    for (const button of [first, previous]) setEnabled(button, step() > 0);
    for (const button of [next, end]) setEnabled(button, step() < last());
    setEnabled(play, n > 1);
  });
  const buttons = html(
    "span",
    "buttons",
    { role: "group", "aria-label": store.words.step },
    first,
    previous,
    play,
    next,
    end,
  );
  return html("div", "player", {}, buttons, slider, label, speed.field);
}

/** Goes on by one step at a time while playing; a step that did not come yet is waited for. */
function playOn(store: Store, signal: AbortSignal, pause: () => number, last: () => number): void {
  const stop = effect(() => {
    if (!store.playing.value) return;
    const { step } = store.selection.value;
    const { status } = store.outline.value;
    if (step >= last()) {
      if (status !== "recording") store.playing.value = false;
      return;
    }
    const timer = setTimeout(() => store.select({ step: step + 1 }), pause());
    return () => clearTimeout(timer);
  });
  signal.addEventListener("abort", stop, { once: true });
}
