import type { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { Link, LinkHandlers } from '../../src/sharing/link.ts';

const toldAfterMs = 2;

/** What replicas share through, on the virtual clock: as late as a Valkey near by, and read as seldom. */
export class VirtualStream {
  readonly #clock: VirtualClock;
  readonly #readers: Reader[] = [];

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  connect(handlers: LinkHandlers): Link {
    const reader = new Reader(this.#clock, handlers);
    this.#readers.push(reader);
    this.#clock.after(0, () => handlers.up());
    const write = (batch: Buffer): void => {
      this.#clock.after(toldAfterMs, () => this.#readers.forEach((each) => each.arrived(batch)));
    };
    return { isUp: true, isBusy: false, reason: '', write, close: () => Promise.resolve() };
  }
}

class Reader {
  readonly #clock: VirtualClock;
  readonly #handlers: LinkHandlers;
  #arrived: Buffer[] = [];
  #readAtMs = -Infinity;

  constructor(clock: VirtualClock, handlers: LinkHandlers) {
    this.#clock = clock;
    this.#handlers = handlers;
  }

  arrived(batch: Buffer): void {
    this.#arrived.push(batch);
    if (this.#arrived.length > 1) return;
    this.#clock.after(Math.max(0, this.#readAtMs + this.#handlers.pauseMs() - this.#clock.nowMs()), () => {
      this.#readAtMs = this.#clock.nowMs();
      for (const each of this.#arrived.splice(0)) this.#handlers.read(each);
    });
  }
}
