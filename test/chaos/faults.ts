import { writeFileSync } from 'node:fs';
import type { Random } from '../../src/base/random.ts';
import type { EngineProcess } from './process.ts';
import { answers } from './process.ts';
import type { Tap } from './tap.ts';

interface Place {
  readonly engine: EngineProcess;
  readonly tap: Tap;
}

/** What the run lets go wrong beside the engines. */
export interface Surroundings {
  /** A policy that is watched. */
  readonly policyFile: string;
  readonly policies: readonly string[];
  /** Milliseconds by which the gateway's wall clock is wrong. */
  readonly clockFile: string;
  /** Fills the disk under the journal and the logs, or empties it. */
  fillDisk(full: boolean): void;
}

const pause = (milliseconds: number): Promise<void> => new Promise((next) => setTimeout(next, milliseconds));

/** Everything that goes wrong with one engine, each from its beginning to its end. */
const engineFaults: Readonly<Record<string, (place: Place, milliseconds: number) => Promise<void>>> = {
  async kill({ engine }, milliseconds) {
    await engine.kill();
    await pause(milliseconds);
    engine.start();
    await answers(`${engine.url}/health`);
  },
  async stop({ engine }, milliseconds) {
    engine.signal('SIGSTOP');
    await pause(milliseconds);
    engine.signal('SIGCONT');
  },
  hang: ({ engine }, milliseconds) => failing(engine, { mode: 'hang' }, milliseconds),
  slow: ({ engine }, milliseconds) => failing(engine, { slowness: 20 }, milliseconds),
  'answer 500': ({ engine }, milliseconds) => failing(engine, { status: 500 }, milliseconds),
  'answer 503': ({ engine }, milliseconds) => failing(engine, { status: 503 }, milliseconds),
  'break streams': ({ engine }, milliseconds) => failing(engine, { stopStreamAfterChunks: 5 }, milliseconds),
  async reset({ tap }) {
    tap.reset();
    await Promise.resolve();
  },
  async 'half-close'({ tap }) {
    tap.halfClose();
    await Promise.resolve();
  },
};

async function failing(engine: EngineProcess, failures: object, milliseconds: number): Promise<void> {
  await engine.fail(failures);
  await pause(milliseconds);
  await engine.fail({});
}

/** Lets things go wrong at random until told to stop; half of the engines are left alone at any time. */
export class Faults {
  readonly counts = new Map<string, number>();
  readonly #random: Random;
  readonly #places: readonly Place[];
  readonly #surroundings: Surroundings;
  readonly #troubled = new Map<Place, Promise<void>>();
  #stopped = false;

  constructor(random: Random, places: readonly Place[], surroundings: Surroundings) {
    this.#random = random;
    this.#places = places;
    this.#surroundings = surroundings;
  }

  async run(): Promise<void> {
    while (!this.#stopped) {
      await pause(300 + this.#random.below(1500));
      if (this.#random.below(4) === 0) this.#around();
      else this.#trouble();
    }
    await Promise.all(this.#troubled.values());
    this.#surroundings.fillDisk(false);
    writeFileSync(this.#surroundings.clockFile, '0');
  }

  stop(): void {
    this.#stopped = true;
  }

  #trouble(): void {
    const calm = this.#places.filter((place) => !this.#troubled.has(place));
    if (calm.length <= this.#places.length / 2) return;
    const place = calm[this.#random.below(calm.length)]!;
    const names = Object.keys(engineFaults);
    const name = names[this.#random.below(names.length)]!;
    this.#count(name);
    const over = engineFaults[name]!(place, 500 + this.#random.below(4000))
      // What it did is undone everywhere before it counts as calm again.
      .then(() => pause(1500))
      .finally(() => this.#troubled.delete(place));
    this.#troubled.set(place, over);
  }

  #around(): void {
    const { policyFile, policies, clockFile } = this.#surroundings;
    switch (this.#random.below(4)) {
      case 0:
        this.#count('reload');
        writeFileSync(policyFile, policies[this.#random.below(policies.length)]!);
        break;
      case 1:
        this.#count('reload of nonsense');
        writeFileSync(policyFile, 'plugins: [{type: no-such-plugin');
        break;
      case 2:
        this.#count('clock jump');
        writeFileSync(clockFile, String((this.#random.below(7200) - 3600) * 1000));
        break;
      default: {
        const full = this.#random.below(2) === 0;
        this.#count(full ? 'full disk' : 'disk with room');
        this.#surroundings.fillDisk(full);
      }
    }
  }

  #count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
}
