import { hash } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { SharedRows, type RowsMemory } from '../base/shared-rows.ts';
import type { Key, Levels } from './key.ts';

/** Memory that threads of one process share of how much of each key's limits is in use. */
export interface KeysMemory {
  /** Whose seat it is, as 64 bits of a hash of the name. */
  readonly names: SharedArrayBuffer;
  readonly locks: SharedArrayBuffer;
  readonly levels: RowsMemory;
}

/** Keys, and subjects of issuers, that have a seat; the limits of those beyond are divided among the threads. */
const seats = 32 * 1024;
/** So many seats are looked at for a free one. */
const mostProbes = 64;
/** Whoever holds a lock is done within microseconds. It may be made to stand still by others' work; or it has died, once in a blue moon. */
const spins = 200;
const lockWaitMs = 1;
const longestLockMs = 2000;

export function keysMemory(rows: number): KeysMemory {
  return {
    names: new SharedArrayBuffer(seats * BigInt64Array.BYTES_PER_ELEMENT),
    locks: new SharedArrayBuffer(seats * Int32Array.BYTES_PER_ELEMENT),
    levels: SharedRows.memory(rows, seats, 3),
  };
}

/** Where threads keep what each has used of keys: a limit is looked at and counted against in one step, over all of them. */
export class KeySeats {
  readonly #names: BigInt64Array;
  readonly #locks: Int32Array;
  readonly #levels: SharedRows;
  readonly #clock: Clock;
  /** With something of a minute that may have passed. */
  readonly #warm = new Set<Key>();

  constructor({ names, locks, levels }: KeysMemory, row: number, clock: Clock) {
    this.#names = new BigInt64Array(names);
    this.#locks = new Int32Array(locks);
    this.#levels = new SharedRows(levels, row);
    this.#clock = clock;
  }

  /** The key's seat, the same in all threads; -1 when there is none left for it. */
  seatOf(name: string): number {
    const id = hash('sha256', name, 'buffer').readBigInt64LE() | 1n;
    let seat = Number(BigInt.asUintN(15, id >> 1n));
    for (let probe = 0; probe < mostProbes; probe++, seat = (seat + 1) % seats) {
      const there = Atomics.compareExchange(this.#names, seat, 0n, id);
      if (there === 0n || there === id) return seat;
    }
    return -1;
  }

  /** Runs `step`, which looks at the key's limits and counts, while no other thread does so. */
  exclusively<Result>(key: Key, step: () => Result): Result {
    this.#lock(key.seat);
    try {
      key.others = this.others(key.seat);
      return step();
    } finally {
      this.tell(key);
      Atomics.compareExchange(this.#locks, key.seat, this.#levels.row + 1, 0);
    }
  }

  /** Tells what the key has in use here. */
  tell(key: Key): void {
    const { requests, tokens, inFlight } = key.levels(this.#clock.nowMs());
    this.#levels.write(key.seat, [requests, tokens, inFlight]);
    if (requests + tokens + inFlight > 0) this.#warm.add(key);
    else this.#warm.delete(key);
  }

  /** Tells again what leaves its minute without anything being asked. */
  tellAgain(): void {
    for (const key of this.#warm) this.tell(key);
  }

  /** What the other threads have in use. */
  others(seat: number): Levels {
    const sum = { requests: 0, tokens: 0, inFlight: 0 };
    this.#levels.readOthers(seat, ([requests, tokens, inFlight]) => {
      sum.requests += requests!;
      sum.tokens += tokens!;
      sum.inFlight += inFlight!;
    });
    return sum;
  }

  /** The thread of that row is no more. */
  clear(row: number): void {
    this.#levels.clear(row);
    for (let seat = 0; seat < seats; seat++) Atomics.compareExchange(this.#locks, seat, row + 1, 0);
  }

  #lock(seat: number): void {
    const owner = this.#levels.row + 1;
    let endMs = Infinity;
    for (let spin = 0; ; spin++) {
      const holder = Atomics.compareExchange(this.#locks, seat, 0, owner);
      if (holder === 0) return;
      if (spin < spins) continue;
      const nowMs = this.#clock.nowMs();
      endMs = Math.min(endMs, nowMs + longestLockMs);
      if (nowMs > endMs) Atomics.compareExchange(this.#locks, seat, holder, 0);
      else Atomics.wait(this.#locks, seat, holder, lockWaitMs);
    }
  }
}
