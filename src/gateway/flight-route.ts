import type { Flight } from '../dispatch/flight.ts';
import type { Route } from '../proxy/relay.ts';

/**
 * A flight as what relays its answer sees it. A class, for an object literal with getters is one of a kind to V8, which
 * keeps its kind, and with it all that its getters can reach, until the whole heap is gone through.
 */
export class FlightRoute implements Route {
  readonly #flight: Flight;
  readonly #piece: (() => void) | null;
  readonly finish: Route['finish'];

  /** `piece` is called at each piece of a streamed answer. */
  constructor(flight: Flight, piece: (() => void) | null, finish: Route['finish']) {
    this.#flight = flight;
    this.#piece = piece;
    this.finish = finish;
  }

  get endpoint(): Route['endpoint'] {
    return this.#flight.endpoint;
  }

  get continuesChats(): boolean {
    return this.#flight.continuesChats;
  }

  retry(...failed: Parameters<Route['retry']>): ReturnType<Route['retry']> {
    return this.#flight.retry(...failed);
  }

  firstToken(status: number): void {
    this.#flight.firstToken(status);
  }

  more(): void {
    this.#piece?.();
  }

  looked(heardAtMs: number, silentMs: number): string | null {
    return this.#flight.looked(heardAtMs, silentMs);
  }
}
