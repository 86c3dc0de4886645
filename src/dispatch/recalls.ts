import { Roster, type Rostered } from '../base/roster.ts';
import type { Flight } from './flight.ts';
import type { Load } from './holding.ts';

/** Less prefill than this is not worth taking back. */
const leastSeconds = 0.3;
/** One that was taken back so often stays where it is. */
const mostRecalls = 2;

/** One that was sent, of which nothing has reached its client. */
export class Sent implements Rostered {
  rosterAt = -1;
  readonly flight: Flight;
  readonly priority: number;
  /** Stops what was sent and lets it wait again. */
  readonly takeBack: () => void;

  constructor(flight: Flight, priority: number, takeBack: () => void) {
    this.flight = flight;
    this.priority = priority;
    this.takeBack = takeBack;
  }
}

/**
 * Requests that were sent, have not begun to be answered, and can be taken back by their front door: where the fleet is
 * full they make room for higher priorities, and wait in the gateway again.
 */
export class Recalls {
  readonly #sent = new Roster<Sent>();

  sent(sent: Sent): void {
    sent.flight.sent = sent;
    this.#sent.add(sent);
  }

  /** It has begun to be answered, or has ended. */
  settled(flight: Flight): void {
    if (flight.sent !== null) this.#sent.delete(flight.sent);
    flight.sent = null;
  }

  /** Whether any could be taken back for this priority. */
  anyBelow(priority: number): boolean {
    for (const sent of this.#sent) if (sent.priority < priority) return true;
    return false;
  }

  /** By slot, what would be gone if all that are below this priority were taken back. */
  loadBelow(priority: number): Map<number, Load> {
    const bySlot = new Map<number, Load>();
    for (const { flight } of this.#below(priority)) {
      const { slot, prefillSeconds, kvTokens } = flight.unanswered;
      const known = bySlot.get(slot) ?? { prefillSeconds: 0, kvTokens: 0 };
      bySlot.set(slot, {
        prefillSeconds: known.prefillSeconds + prefillSeconds,
        kvTokens: known.kvTokens + kvTokens,
      });
    }
    return bySlot;
  }

  /** Takes back all in the slot that are below this priority. */
  takeBack(slot: number, priority: number): void {
    for (const sent of [...this.#below(priority)]) {
      if (sent.flight.unanswered.slot !== slot) continue;
      this.settled(sent.flight);
      sent.takeBack();
    }
  }

  *#below(priority: number): Generator<Sent> {
    for (const sent of this.#sent) {
      if (sent.priority >= priority || sent.flight.recalls >= mostRecalls) continue;
      if (sent.flight.unanswered.prefillSeconds >= leastSeconds) yield sent;
    }
  }
}
