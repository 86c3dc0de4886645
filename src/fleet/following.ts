import type { Fleet } from './fleet.ts';

/** What whoever watches endpoints tells a fleet of them. */
const methods = [
  'add',
  'remove',
  'setDeclaredReady',
  'setModels',
  'setEngine',
  'setGauges',
  'failed',
  'toldOut',
  'probed',
  'restarted',
] as const;
type Method = (typeof methods)[number];

/** One thing that was told, as the method's name and its arguments: it goes to other threads as it is. */
export type Telling = { [Name in Method]: readonly [Name, ...Parameters<Fleet[Name]>] }[Method];

/** Of these the last one tells how things are; the others are of a moment. */
const lasting: ReadonlySet<Method> = new Set(['add', 'setDeclaredReady', 'setModels', 'setEngine', 'setGauges']);

/**
 * A fleet whose endpoints are watched here for others as well: `watched` is the same fleet, for those who watch, and what
 * it is told `tell` hears of. Other threads' fleets follow it, slot by slot.
 */
export class LeadingFleet {
  readonly watched: Fleet;
  readonly #fleet: Fleet;
  /** Of each slot in use what was told last, by method. */
  readonly #last = new Map<number, Map<Method | 'silent', Telling>>();

  constructor(fleet: Fleet, tell: (telling: Telling) => void) {
    this.#fleet = fleet;
    const tellingMethods = new Map<PropertyKey, unknown>(
      methods.map((name) => [
        name,
        (...args: unknown[]) => {
          const slot = name === 'remove' ? fleet.slotOf(args[0] as string) : null;
          const result = (fleet[name] as (...args: unknown[]) => unknown)(...args);
          // Slots are chosen here alone.
          const telling = [name, ...(name === 'add' ? [args[0], args[1] ?? true, result] : args)] as unknown as Telling;
          this.#keep(telling, slot);
          tell(telling);
          return result;
        },
      ]),
    );
    this.watched = new Proxy(fleet, {
      get: (_target, name) => {
        const telling = tellingMethods.get(name);
        if (telling !== undefined) return telling;
        const value: unknown = Reflect.get(fleet, name, fleet);
        return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(fleet) : value;
      },
    });
  }

  /** What a fleet that knows nothing has to be told to be as this one is. */
  *everything(nowMs: number): Iterable<Telling> {
    for (const [slot, tellings] of this.#last) {
      yield* tellings.values();
      const outage = this.#fleet.outage(slot, nowMs);
      if (outage !== null) yield ['toldOut', this.#fleet.endpointAt(slot)!.name, outage.reason, nowMs, true];
    }
  }

  #keep(telling: Telling, removed: number | null): void {
    const [name] = telling;
    if (removed !== null) this.#last.delete(removed);
    if (!lasting.has(name)) return;
    const slot = name === 'add' ? telling[3]! : (telling[1] as number);
    if (this.#fleet.endpointAt(slot) === undefined) return;
    let last = this.#last.get(slot);
    const added = last?.get('add');
    // Another endpoint of that name: what the one before it served says nothing.
    const isAnother = name === 'add' && added?.[0] === 'add' && added[1].address !== telling[1].address;
    if (last === undefined || isAnother) this.#last.set(slot, (last = new Map()));
    if (name === 'add') last.delete('setDeclaredReady');
    // What it served is known on when it does not answer.
    last.set(name === 'setModels' && telling[2] === null ? 'silent' : name, telling);
    if (name === 'setModels' && telling[2] !== null) last.delete('silent');
  }
}

/** Tells a fleet what was told the one that it follows. What it saw fail itself is not said again. */
export function follow(fleet: Fleet, [name, ...args]: Telling): void {
  const { onOut } = fleet;
  fleet.onOut = null;
  (fleet[name] as (...args: unknown[]) => unknown)(...args);
  fleet.onOut = onOut;
}
