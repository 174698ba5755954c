/** Hears when the kernel behind a picture ends: from then on the picture is a record. */
import type { Store } from "./store.ts";

interface Source<T> {
  connect(slot: (sender: unknown, value: T) => void): void;
  disconnect(slot: (sender: unknown, value: T) => void): void;
}

/** What is used of a Jupyter widget manager's connection to its kernel; managers of other hosts have none. */
export interface Kernel {
  statusChanged?: Source<string>;
  disposed?: Source<unknown>;
}

/** Statuses after which a kernel knows nothing of its widgets. The widget manager itself hears of the first alone. */
const ENDS: Record<string, "restarted" | "ended"> = {
  restarting: "restarted",
  autorestarting: "restarted",
  terminating: "ended",
  dead: "ended",
};

/** Tells the store when this kernel ends, until the signal does. */
export function watchKernel(kernel: Kernel, store: Store, signal: AbortSignal): void {
  const changed = (_: unknown, status: string) => {
    const how = Object.hasOwn(ENDS, status) && ENDS[status];
    if (how) store.lose(how);
  };
  const disposed = () => store.lose("ended");
  kernel.statusChanged?.connect(changed);
  kernel.disposed?.connect(disposed);
  const stop = () => {
    kernel.statusChanged?.disconnect(changed);
    kernel.disposed?.disconnect(disposed);
  };
  signal.addEventListener("abort", stop, { once: true });
}
