import { join } from 'node:path';
import type { LoadResult } from '../lib/load-result.ts';
import { said, startHelper } from '../lib/processes.ts';
import type { LoadOrder } from './load.ts';

interface Stubs {
  /** Ports of the engines. */
  readonly engines: number[];
  load(order: LoadOrder): Promise<LoadResult>;
}

/** What stands on both sides of what is measured, on the other core: four engines that answer instantly, and a generator of load. */
export async function startStubs(): Promise<Stubs> {
  const { ports: engines } = await said<{ ports: number[] }>(startHelper(join(import.meta.dirname, 'engines.ts'), '4'));
  const generator = startHelper(join(import.meta.dirname, 'load.ts'));
  return {
    engines,
    load(order) {
      generator.send(order);
      return said<LoadResult>(generator);
    },
  };
}
