/** What keys mean inside a view. */

/** How far an arrow, Home or End moves on two axes; null for other keys. */
export function move(event: KeyboardEvent): { columns: number; rows: number } | null {
  if (event.altKey || event.metaKey || event.ctrlKey) return null;
  const far = Number.MAX_SAFE_INTEGER;
  const moves: Record<string, [number, number]> = {
    ArrowLeft: [-1, 0],
    ArrowRight: [1, 0],
    ArrowUp: [0, -1],
    ArrowDown: [0, 1],
    Home: [-far, 0],
    End: [far, 0],
    PageUp: [0, -10],
    PageDown: [0, 10],
  };
  const found = moves[event.key];
  return found ? { columns: found[0], rows: found[1] } : null;
}

export const clamp = (value: number, n: number): number => Math.max(0, Math.min(n - 1, value));

/** Takes a key for the view, so that neither the page nor the notebook acts on it. */
export function take(event: KeyboardEvent): void {
  event.preventDefault();
  event.stopPropagation();
}
