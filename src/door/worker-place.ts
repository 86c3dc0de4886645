import { randomBytes } from 'node:crypto';
import { wallClock } from '../base/clock.ts';
import { SharedRows, type RowsMemory } from '../base/shared-rows.ts';
import type { DecisionIds } from '../dispatch/dispatch.ts';
import { slotLimit } from '../fleet/fleet.ts';
import { siblingWidth } from '../fleet/ledger.ts';
import { KeySeats, keysMemory, type KeysMemory } from '../keys/key-seats.ts';

/** A thread's place among those of a process that serve together, as it is passed to it. */
export interface WorkerPlace {
  /** 0 is the first, which watches the endpoints for all. */
  readonly rank: number;
  readonly count: number;
  /** Tells the threads of this process from those of others. */
  readonly id: string;
  /** What session tokens are signed with and prefix chains start from, where no file says it. */
  readonly secret: Uint8Array;
  /** Requests on their way, by slot. */
  readonly requests: RowsMemory;
  /** What is in use of keys; null where nobody needs one. */
  readonly keys: KeysMemory | null;
  /** How many decisions were made. */
  readonly decisions: SharedArrayBuffer;
  /** Endpoints are pods of a cluster, of which there may be none for good reason. */
  readonly ofCluster: boolean;
}

/** The first thread's place among `count`. */
export function firstPlace(count: number, ofCluster: boolean, asksForKeys: boolean): WorkerPlace {
  return {
    rank: 0,
    ...{ count, ofCluster },
    id: randomBytes(4).toString('hex'),
    secret: randomBytes(32),
    keys: asksForKeys ? keysMemory(count) : null,
    requests: SharedRows.memory(count, slotLimit, siblingWidth),
    decisions: new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT),
  };
}

/** The thread of that rank is no more: what it had on its way counts no longer. */
export function vacate({ requests, keys }: WorkerPlace, rank: number): void {
  new SharedRows(requests, 0).clear(rank);
  if (keys !== null) new KeySeats(keys, 0, wallClock).clear(rank);
}

/** Decisions of all threads in one order. */
export function decisionIds({ id, decisions }: WorkerPlace): DecisionIds {
  const count = new BigInt64Array(decisions);
  return {
    prefix: parseInt(id, 16).toString(36).padStart(7, '0'),
    next: () => Number(Atomics.add(count, 0, 1n)) + 1,
  };
}
