import { signal as state } from "@preact/signals-core";
import { expect, it } from "vitest";
import { watchKernel } from "../src/kernel.ts";
import { createStore } from "../src/store.ts";
import { readPicture } from "../src/wire.ts";
import { header, pack, peak } from "./picture.ts";

function fakeSource<T>() {
  const slots = new Set<(sender: unknown, value: T) => void>();
  return {
    slots,
    connect: (slot: (sender: unknown, value: T) => void) => void slots.add(slot),
    disconnect: (slot: (sender: unknown, value: T) => void) => void slots.delete(slot),
    emit: (value: T) => slots.forEach((slot) => slot(null, value)),
  };
}

function watched() {
  const kernel = { statusChanged: fakeSource<string>(), disposed: fakeSource<unknown>() };
  const store = createStore(state(false));
  store.merge(readPicture(pack(header(2, { status: "recording" }), [{ rows: [peak(0), peak(1)] }])));
  const end = new AbortController();
  watchKernel(kernel, store, end.signal);
  return { kernel, store, end };
}

it.each(["idle", "busy", "starting", "unknown", "toString"])("lives on while its kernel is %s", (status) => {
  const { kernel, store } = watched();
  kernel.statusChanged.emit(status);
  expect([store.lost.value, store.outline.value.status]).toEqual(["", "recording"]);
});

it.each([
  ["restarting", "restarted"],
  ["autorestarting", "restarted"],
  ["terminating", "ended"],
  ["dead", "ended"],
])("is a record of what came until its kernel was %s", (status, how) => {
  const { kernel, store } = watched();
  kernel.statusChanged.emit(status);
  kernel.statusChanged.emit("idle");
  kernel.disposed.emit(undefined);
  expect([store.lost.value, store.outline.value.status]).toEqual([how, "stopped"]);
  expect(store.slice.value.matrix.nQueries).toBe(2);
});

it("leaves nothing at the kernel", () => {
  const { kernel, end } = watched();
  end.abort();
  expect(kernel.statusChanged.slots.size + kernel.disposed.slots.size).toBe(0);
});
