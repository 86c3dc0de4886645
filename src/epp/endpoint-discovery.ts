import { isIP } from 'node:net';
import { hostOf } from '../base/address.ts';
import type { Logger } from '../base/log.ts';
import type { Call, Method } from './grpc-server.ts';
import { discoveryResponse, readDiscoveryRequest } from './wire/discovery.ts';

/**
 * Tells the data plane which endpoints there are (Envoy's EDS, state of the world), as soon as the picker itself knows: so
 * Envoy can go on to a fallback when the endpoint picked is gone, and go on without its picker. Endpoints that are
 * known by a name rather than an address are left out: Envoy takes none here.
 */
export class EndpointDiscovery {
  static readonly method = '/envoy.service.endpoint.v3.EndpointDiscoveryService/StreamEndpoints';
  readonly #log: Logger;
  /** Calls under way, with the cluster that each asks for once it has. */
  readonly #calls = new Map<Call, string | null>();
  #addresses: readonly { readonly host: string; readonly port: number }[] = [];
  /** Nobody is told of none before there have been any: a new picker does not know its pool yet. */
  #version = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  get openCalls(): number {
    return this.#calls.size;
  }

  /** From now on these are the endpoints, as `host:port`. */
  replace(addresses: ReadonlySet<string>): void {
    if (this.#version === 0 && addresses.size === 0) return;
    this.#addresses = [...addresses]
      .sort()
      .map((address) => ({ host: hostOf(address), port: Number(address.slice(address.lastIndexOf(':') + 1)) }))
      .filter(({ host }) => isIP(host) !== 0);
    this.#version++;
    for (const call of this.#calls.keys()) this.#tell(call);
  }

  /** Ends all calls: their callers look for another picker. */
  close(): void {
    for (const call of this.#calls.keys()) call.end();
  }

  readonly call: Method = (call) => {
    this.#calls.set(call, null);
    return {
      message: (message) => {
        const { names, nonce, error } = readDiscoveryRequest(message);
        if (error !== null) this.#log.error(`Envoy does not take the endpoints: ${error}`);
        const [name = null] = names;
        // What only acknowledges the last answer needs none.
        if (nonce !== '' && this.#calls.get(call) === name) return;
        this.#calls.set(call, name);
        this.#tell(call);
      },
      halfClosed: () => call.end(),
      closed: () => void this.#calls.delete(call),
    };
  };

  #tell(call: Call): void {
    const cluster = this.#calls.get(call) ?? null;
    if (cluster === null || this.#version === 0) return;
    call.send(discoveryResponse(String(this.#version), cluster, this.#addresses));
  }
}
