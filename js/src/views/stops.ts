/** One tab stop for many controls: arrows to the left and right go from one to the next. */
import { take } from "../keys.ts";

const CONTROLS = "button, input, select";

/** Makes the controls of a toolbar one tab stop, which is where the focus was last; `apart` stays one of its own. */
export function oneStop(host: HTMLElement, signal: AbortSignal, apart: Element | null = null): void {
  const controls = () => [...host.querySelectorAll<HTMLElement>(CONTROLS)].filter((node) => node !== apart);
  const isShown = (node: HTMLElement) => !node.closest("[hidden]");
  let last: HTMLElement | undefined;

  const refresh = () => {
    const all = controls();
    if (!last || !isShown(last)) last = all.find(isShown);
    for (const node of all) node.tabIndex = node === last ? 0 : -1;
  };
  refresh();
  const watcher = new MutationObserver(refresh);
  watcher.observe(host, { subtree: true, attributeFilter: ["hidden"] });
  signal.addEventListener("abort", () => watcher.disconnect(), { once: true });

  const onFocus = ({ target }: Event) => {
    if (target === apart || !controls().includes(target as HTMLElement)) return;
    last = target as HTMLElement;
    refresh();
  };
  const onKey = (event: KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const { target } = event;
    if (!by || target === apart || event.altKey || event.ctrlKey || event.metaKey || isTyped(target, by)) return;
    const shown = controls().filter(isShown);
    const at = shown.indexOf(target as HTMLElement);
    if (at < 0) return;
    take(event);
    shown[at + by]?.focus();
  };
  host.addEventListener("focusin", onFocus, { signal });
  host.addEventListener("keydown", onKey, { signal });
}

/** Tells whether an arrow moves the caret in what somebody typed. */
function isTyped(target: EventTarget | null, by: number): boolean {
  if (!(target instanceof HTMLInputElement) || target.type !== "search") return false;
  return by < 0 ? target.selectionEnd !== 0 : target.selectionStart !== target.value.length;
}
