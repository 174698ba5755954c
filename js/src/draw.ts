/** Drawing that follows signals, at most once a frame. */
import { effect } from "@preact/signals-core";

/** Runs `paint` now and, at most once a frame, whenever something changed that it read, until the signal ends. */
export function draw(signal: AbortSignal, paint: () => void): void {
  let stop = () => {};
  let frame = 0;
  const run = () => {
    frame = 0;
    stop();
    let first = true;
    // The second time the effect reads nothing, so it is deaf until the frame in which it starts anew.
    stop = effect(() => {
      if (first) {
        first = false;
        paint();
      } else frame ||= requestAnimationFrame(run);
    });
  };
  run();
  signal.addEventListener("abort", () => (cancelAnimationFrame(frame), stop()), { once: true });
}
