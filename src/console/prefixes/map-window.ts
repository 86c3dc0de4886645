/** The part of a map that is seen, from 0 to 1 of its width. */
export interface MapWindow {
  readonly from: number;
  readonly to: number;
}

export const wholeMap: MapWindow = { from: 0, to: 1 };
const narrowest = 1 / 2000;

/** Narrower by `factor` around a place that stays where it is. */
export function zoomed({ from, to }: MapWindow, factor: number, around = (from + to) / 2): MapWindow {
  const span = Math.min(1, Math.max(narrowest, (to - from) / factor));
  const part = (around - from) / (to - from);
  return within(around - part * span, span);
}

export function moved({ from, to }: MapWindow, by: number): MapWindow {
  return within(from + by, to - from);
}

/** Moved as little as shows this stretch, or its beginning where it is wider than the window. */
export function showing(seen: MapWindow, from: number, to: number): MapWindow {
  if (from < seen.from || to - from > seen.to - seen.from) return within(from, seen.to - seen.from);
  return to > seen.to ? moved(seen, to - seen.to) : seen;
}

function within(from: number, span: number): MapWindow {
  const start = Math.min(1 - span, Math.max(0, from));
  return { from: start, to: start + span };
}
