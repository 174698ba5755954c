/** What every view is: a function that draws one part of the store into one element, and ends with the signal. */
import type { ReadonlySignal } from "@preact/signals-core";
import type { Layout } from "./layout.ts";
import type { Store } from "../store.ts";

export interface View {
  name: string;
  mount(host: HTMLElement, store: Store, layout: ReadonlySignal<Layout>, signal: AbortSignal): void;
}
