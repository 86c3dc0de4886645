import type { Clock } from '../base/clock.ts';
import type { HardwareProfile } from '../engine/model/profiles.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { roleLabel, type Endpoint } from '../scheduler/endpoint.ts';
import type { FleetEvent } from './fleet-events.ts';
import { fleetOf } from './informed-fleet.ts';
import type { Knowledge } from './informed-fleet.ts';
import { SimulatedEngine } from './simulated-engine.ts';
import type { NetworkDelays } from './simulated-engine.ts';

interface SimulatedFleetOptions {
  readonly clock: Clock;
  /** One per endpoint. */
  readonly profiles: readonly HardwareProfile[];
  /** One per endpoint; null for none. */
  readonly roles: readonly (string | null)[];
  readonly model: string;
  readonly blockTokens: number;
  readonly network: NetworkDelays;
  readonly stalenessMs: number;
  readonly events: readonly FleetEvent[];
  readonly knowledge: Knowledge;
}

interface Simulated {
  readonly number: number;
  readonly slot: number;
  readonly engine: SimulatedEngine;
}

/** Simulated engines, and beside them what a router knows of them. */
export class SimulatedFleet {
  /** What the router knows: its own picks, the answers it sees, and gauges as they were at the last scrape. */
  readonly known: Fleet;
  readonly #byName = new Map<string, Simulated>();
  readonly #options: SimulatedFleetOptions;

  constructor(options: SimulatedFleetOptions) {
    this.#options = options;
    const { clock, network, blockTokens, knowledge } = options;
    const engines: SimulatedEngine[] = [];
    const slots = options.profiles.length;
    this.known = fleetOf(knowledge, { slots, engineAt: (slot) => engines[slot]!, blockTokens });
    options.profiles.forEach((profile, number) => {
      const role = options.roles[number] ?? null;
      const labels = role === null ? {} : { [roleLabel]: role };
      const endpoint = { name: `endpoint-${number}`, address: `endpoint-${number}:8000`, labels };
      const slot = this.known.add(endpoint);
      this.known.setModels(slot, [{ id: options.model }]);
      const engine = new SimulatedEngine(clock, profile, blockTokens, network);
      engines[slot] = engine;
      this.#byName.set(endpoint.name, { number, slot, engine });
    });
  }

  /** Lets the events come, and scrapes and probes go on for as long as the clock runs. */
  start(): void {
    const { clock, events, stalenessMs } = this.#options;
    const engines = [...this.#byName.values()];
    for (const { atMs, endpoint, action } of events) {
      const { engine } = engines[endpoint]!;
      clock.after(atMs, () => {
        if (action.kind === 'slow') engine.setSpeed(action.factor);
        else if (action.kind === 'fail') engine.fail();
        else engine.return();
      });
    }
    const scrape = (): void => {
      const nowMs = clock.nowMs();
      for (const { slot, engine } of engines) {
        const { gauges } = engine;
        if (gauges !== null) this.known.setGauges(slot, gauges, nowMs);
        if (this.known.probeIsDue(slot, nowMs)) this.known.probed(slot, engine.alive ? 'well' : 'refused', nowMs);
      }
      clock.after(stalenessMs, scrape);
    };
    scrape();
  }

  engineOf(endpoint: Endpoint): SimulatedEngine {
    return this.#byName.get(endpoint.name)!.engine;
  }

  numberOf(endpoint: Endpoint): number {
    return this.#byName.get(endpoint.name)!.number;
  }

  get preemptions(): number {
    return [...this.#byName.values()].reduce((sum, { engine }) => sum + engine.preemptions, 0);
  }
}
