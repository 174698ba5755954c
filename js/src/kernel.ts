/** Hears when the kernel behind a picture ends, from when on the picture is a record, and when it comes to rest. */
import { isOver } from "./outline.ts";
import type { Store } from "./store.ts";

interface Source<T> {
  connect(slot: (sender: unknown, value: T) => void): void;
  disconnect(slot: (sender: unknown, value: T) => void): void;
}

/** What is used of a Jupyter widget manager's connection to its kernel; managers of other hosts have none. */
export interface Kernel {
  status?: string;
  statusChanged?: Source<string>;
  disposed?: Source<unknown>;
}

/** What is known of the messages of this kernel. */
export interface Link {
  /** Tells whether it said something. */
  isHeard: () => boolean;
  /** Hears that it came to rest after so many milliseconds. */
  rested: (busy: number) => void;
}

/** Statuses after which a kernel knows nothing of its widgets. The widget manager itself hears of the first alone. */
const ENDS: Record<string, "restarted" | "ended"> = {
  restarting: "restarted",
  autorestarting: "restarted",
  terminating: "ended",
  dead: "ended",
};

/** Milliseconds between two looks for a kernel that is at rest and yet does not answer. */
const LOOK_EVERY = 1000;

/** Tells the store when this kernel ends, and the link when it comes to rest, until the signal does. */
export function watchKernel(kernel: Kernel, store: Store, link: Link, signal: AbortSignal): void {
  let busySince = Date.now();
  let isResting = false;
  const changed = (_: unknown, status: string) => {
    const how = Object.hasOwn(ENDS, status) && ENDS[status];
    if (how) store.lose(how);
    if (status === "busy") busySince = Date.now();
    else if (status === "idle") link.rested(Date.now() - busySince);
  };
  const disposed = () => store.lose("ended");
  const timer = setInterval(() => {
    const wasResting = isResting;
    isResting = kernel.status === "idle";
    if (link.isHeard()) clearInterval(timer);
    else if (isResting && wasResting && !isOver(store.outline.value)) store.lose("unknown");
  }, LOOK_EVERY);
  kernel.statusChanged?.connect(changed);
  kernel.disposed?.connect(disposed);
  const stop = () => {
    clearInterval(timer);
    kernel.statusChanged?.disconnect(changed);
    kernel.disposed?.disconnect(disposed);
  };
  signal.addEventListener("abort", stop, { once: true });
}
