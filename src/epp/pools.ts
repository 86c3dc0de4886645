import type { Core } from '../door/core.ts';
import { GrpcError } from './wire/grpc-frames.ts';

/** gRPC metadata by which the data plane says whose requests a stream brings. No client can set it. */
export const poolMetadata = 'x-signalbox-pool';

interface NamedPool {
  readonly name: string;
  readonly core: Core;
}

/** The pools that one EPP places requests in, each with endpoints, policy and objects of its own. */
export class Pools {
  readonly #pools: readonly [NamedPool, ...NamedPool[]];

  constructor(pools: readonly [NamedPool, ...NamedPool[]]) {
    this.#pools = pools;
  }

  /** Counts what belongs to no pool. */
  get first(): Core {
    return this.#pools[0].core;
  }

  /** Whether requests of any pool would be placed: one that is out must not take the others out of service. */
  get ready(): boolean {
    return this.#pools.some(({ core }) => core.ready);
  }

  /** The pool that the data plane names. @throws GrpcError when there is none of the name */
  named(name: string): Core {
    const pool = this.#pools.find((each) => each.name === name);
    if (pool === undefined) throw new GrpcError('failedPrecondition', `${poolMetadata}: there is no pool "${name}"`);
    return pool.core;
  }

  /** The pool whose endpoints serve the model, or whose objects give it another name; else the first. */
  serving(model: string): Core {
    const [first, ...others] = this.#pools;
    if (others.length === 0 || model === '') return first.core;
    const found = this.#pools.find(({ core }) => core.fleet.knowsModel(model) || core.objects.rewrites(model));
    return (found ?? first).core;
  }
}
