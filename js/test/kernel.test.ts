import { signal as state } from "@preact/signals-core";
import { afterEach, expect, it, vi } from "vitest";
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

afterEach(() => void vi.useRealTimers());

function watched(status: "recording" | "complete" = "recording") {
  const kernel = { status: "busy", statusChanged: fakeSource<string>(), disposed: fakeSource<unknown>() };
  const store = createStore(state(false));
  store.merge(readPicture(pack(header(2, { status }), [{ rows: [peak(0), peak(1)] }])));
  const end = new AbortController();
  const link = { heard: false, rests: [] as number[] };
  const rested = (busy: number) => void link.rests.push(busy);
  watchKernel(kernel, store, { isHeard: () => link.heard, rested }, end.signal);
  return { kernel, store, end, link };
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

it("tells how long its kernel had worked when that comes to rest", () => {
  vi.useFakeTimers();
  const { kernel, link } = watched();
  kernel.statusChanged.emit("busy");
  vi.advanceTimersByTime(700);
  kernel.statusChanged.emit("idle");
  expect(link.rests).toEqual([700]);
});

it.each([
  ["at rest and silent", "idle", false, "recording", "unknown"],
  ["at work", "busy", false, "recording", ""],
  ["heard", "idle", true, "recording", ""],
  ["silent, where nothing more is to come", "idle", false, "complete", ""],
] as const)("within two seconds holds against a kernel that is %s: %s", (_, status, heard, recording, lost) => {
  vi.useFakeTimers();
  const { kernel, store, link } = watched(recording);
  Object.assign(link, { heard });
  kernel.status = status;
  vi.advanceTimersByTime(2000);
  expect(store.lost.value).toBe(lost);
});

it("is no record any more when its kernel answers after all", () => {
  const { store } = watched();
  store.lose("unknown");
  expect(store.outline.value.status).toBe("stopped");
  store.lose("");
  expect([store.lost.value, store.outline.value.status]).toEqual(["", "recording"]);
});

it("stays a record of a kernel that ended", () => {
  const { store } = watched();
  store.lose("ended");
  store.lose("");
  expect([store.lost.value, store.outline.value.status]).toEqual(["ended", "stopped"]);
});

it("leaves nothing at the kernel", () => {
  const { kernel, end } = watched();
  end.abort();
  expect(kernel.statusChanged.slots.size + kernel.disposed.slots.size).toBe(0);
});
