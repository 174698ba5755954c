/** Ties the step to a bqplot index selector on the page itself, so that it works without a kernel. */
import type { Kernel } from "./kernel.ts";
import type { Store } from "./store.ts";

/** What is used of an ipywidgets model that is not ours. */
interface OtherModel {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  on(event: string, listener: () => void): void;
  off(event: string, listener: () => void): void;
}

export interface WidgetManager {
  get_model(id: string): Promise<OtherModel>;
  kernel?: Kernel | null;
}

/** Follows the selector with this model id both ways until the signal ends. */
export async function tieSelector(
  manager: WidgetManager,
  id: string,
  store: Store,
  signal: AbortSignal,
): Promise<void> {
  const selector = await manager.get_model(id);
  if (signal.aborted) return;
  const chosen = () => {
    const selected = selector.get("selected");
    const value =
      ArrayBuffer.isView(selected) || Array.isArray(selected)
        ? Number((selected as ArrayLike<unknown>)[0])
        : Number.NaN;
    return Number.isFinite(value) ? Math.max(0, Math.round(value)) : null;
  };
  const follow = () => {
    const step = chosen();
    if (step !== null && step < store.slice.value.matrix.nQueries) store.select({ step });
  };
  selector.on("change:selected", follow);
  signal.addEventListener("abort", () => selector.off("change:selected", follow), { once: true });
  store.draw(signal, () => {
    const { step } = store.selection.value;
    if (chosen() !== step && store.slice.value.matrix.nQueries) selector.set("selected", new Float64Array([step]));
  });
}
