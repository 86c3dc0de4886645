import type { Headroom } from '../admission/headroom.ts';
import { kvRoomTokens } from '../admission/kv-room.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { roleOf } from '../scheduler/endpoint.ts';
import type { FleetView } from '../scheduler/view.ts';
import type { Reserved } from './holding.ts';

/** An endpoint, and how many tokens its KV cache has room for. */
export interface Room {
  readonly slot: number;
  readonly roomTokens: number;
}

/** Room in KV caches at one moment of a look through those that wait, worked out for whom it is asked and then known. */
export class Rooms {
  /** Tells that moment from others. */
  readonly reserved: Reserved;
  readonly #fleet: Fleet;
  readonly #headroom: Headroom;
  readonly #nowMs: number;
  readonly #levels: ReturnType<Fleet['levels']>;
  readonly #roomiest = new Map<Int32Array, Map<number, Room>>();

  constructor(fleet: Fleet, headroom: Headroom, reserved: Reserved, nowMs: number) {
    this.reserved = reserved;
    this.#fleet = fleet;
    this.#headroom = headroom;
    this.#nowMs = nowMs;
    this.#levels = fleet.levels(nowMs);
  }

  /** Of those that may write answers, the endpoint with most room for a request of this priority; slot -1 without any. */
  roomiest(slots: Int32Array, priority: number): Room {
    let byPriority = this.#roomiest.get(slots);
    if (byPriority === undefined) this.#roomiest.set(slots, (byPriority = new Map()));
    let room = byPriority.get(priority);
    if (room === undefined) byPriority.set(priority, (room = this.#find(slots, priority)));
    return room;
  }

  #find(slots: Int32Array, priority: number): Room {
    const levels = this.#levels;
    const kept = this.#headroom.tokensFor(priority, slots.length, this.#nowMs);
    let [roomiest, most] = [-1, -Infinity];
    for (const slot of slots) {
      if (!decodes(levels, slot)) continue;
      const room = kvRoomTokens(levels, slot, this.#fleet.kvCapacityTokens[slot]!, kept);
      const roomTokens = room - (this.reserved.get(slot)?.kvTokens ?? 0);
      if (roomTokens > most) [roomiest, most] = [slot, roomTokens];
    }
    return { slot: roomiest, roomTokens: most };
  }
}

/** Whether answers may be written there. */
export function decodes({ endpoints }: Pick<FleetView, 'endpoints'>, slot: number): boolean {
  return roleOf(endpoints[slot]!) !== 'prefill';
}
