import type { ErrorCode } from '../base/errors.ts';

/** What became of the requests that came, counted. */
export class Arrivals {
  placed = 0;
  /** Had to wait first. */
  held = 0;
  /** Left while they waited. */
  left = 0;
  readonly refused = new Map<ErrorCode, number>();

  refuse(code: ErrorCode): void {
    this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
  }
}
