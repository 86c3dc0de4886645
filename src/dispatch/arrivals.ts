import type { ErrorCode } from '../base/errors.ts';
import type { ShedReason } from '../scheduler/decision.ts';

/** What became of the requests that came, counted. */
export class Arrivals {
  placed = 0;
  /** Had to wait first. */
  held = 0;
  /** Left while they waited. */
  left = 0;
  /** Sent, and taken back for a higher priority before anything of an answer had come. */
  takenBack = 0;
  /** Of those refused, the ones that were turned away because the fleet is full, by why. */
  readonly shed = new Map<ShedReason, number>();
  readonly refused = new Map<ErrorCode, number>();

  turnAway(reason: ShedReason): void {
    this.shed.set(reason, (this.shed.get(reason) ?? 0) + 1);
  }

  refuse(code: ErrorCode): void {
    this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
  }
}
