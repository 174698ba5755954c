// @vitest-environment happy-dom
import { signal as state } from "@preact/signals-core";
import { describe, expect, it, vi } from "vitest";
import { tieSelector } from "../src/selector.ts";
import { createStore } from "../src/store.ts";
import { readPicture } from "../src/wire.ts";
import { header, pack, peak } from "./picture.ts";

/** A bqplot selector without its figure. */
function fakeSelector(selected: unknown) {
  const listeners = new Set<() => void>();
  return {
    selected,
    nListeners: () => listeners.size,
    get: () => model.selected,
    set: (_: string, value: unknown) => {
      model.selected = value;
      for (const listener of listeners) listener();
    },
    on: (_: string, listener: () => void) => void listeners.add(listener),
    off: (_: string, listener: () => void) => void listeners.delete(listener),
  };
}
let model = fakeSelector(null);

async function tied(selected: unknown) {
  model = fakeSelector(selected);
  const store = createStore(state(false));
  store.merge(readPicture(pack(header(4), [{ rows: [peak(0), peak(1), peak(2), peak(3)] }])));
  store.select({ step: 2 });
  const end = new AbortController();
  await tieSelector({ get_model: async () => model }, "id", store, end.signal);
  return { store, end };
}

const at = () => [...(model.selected as Float64Array)];

describe("an index selector", () => {
  it("goes to the step", async () => {
    const { store } = await tied(null);
    expect(at()).toEqual([2]);
    store.select({ step: 1 });
    await vi.waitFor(() => expect(at()).toEqual([1]));
  });

  it("chooses the nearest step, and is not pulled onto it", async () => {
    const { store } = await tied(new Float64Array([2]));
    model.set("selected", new Float64Array([0.7]));
    expect(store.selection.value.step).toBe(1);
    expect(at()).toEqual([0.7]);
  });

  it.each([[null], [[]], [[Number.NaN]], [[Number.POSITIVE_INFINITY]], [[99]], ["x"]])(
    "that stands at %j chooses nothing",
    async (selected) => {
      const { store } = await tied(new Float64Array([2]));
      model.set("selected", selected);
      expect(store.selection.value.step).toBe(2);
    },
  );

  it("is left alone once the view has ended", async () => {
    const { store, end } = await tied(new Float64Array([2]));
    end.abort();
    store.select({ step: 0 });
    expect(model.nListeners()).toBe(0);
    expect(at()).toEqual([2]);
  });
});
