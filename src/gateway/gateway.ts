import { createLogger, type Logger } from '../base/log.ts';
import type { Connector } from '../disaggregation/connector.ts';
import { Core, type CoreOptions } from '../door/core.ts';
import { refuseStrangers } from '../keys/open-door.ts';
import { portOf } from '../proxy/listen.ts';
import { serve } from '../proxy/server.ts';
import { Upstream } from '../proxy/upstream.ts';
import { FrontDoor } from './front-door.ts';

export interface GatewayOptions extends CoreOptions {
  /** Serve everybody, although strangers may reach the port. */
  readonly isOpen?: boolean;
  readonly port?: number;
  readonly adminPort?: number;
  readonly maxBodyBytes?: number;
  /** False: streams that break end there, with an error event. */
  readonly continuation?: boolean;
  /** How the gateway itself has a prompt's cache handed over from prefill to decode; sidecars do by default. */
  readonly connector?: Connector;
  readonly log?: Logger;
}

export interface Gateway {
  readonly port: number;
  readonly adminPort: number;
  /** Reads the policy and the endpoints file again; what does not validate changes nothing. @throws SignalboxError */
  reload(): Promise<void>;
  /** Ends: no new requests, those there are finish within `graceMs`. */
  close(graceMs?: number): Promise<void>;
}

const defaultMaxBodyBytes = 32 * 1024 * 1024;
const defaultGraceMs = 30_000;

/** Starts a gateway in this process. Resolves when both ports listen; requests are answered once an endpoint is. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  refuseStrangers(options.host ?? '127.0.0.1', options.keysFile, options.isOpen ?? false);
  const log = options.log ?? createLogger('gateway');
  const upstream = new Upstream();
  const core = await Core.create(options, log, { addresses: (addresses) => upstream.retain(addresses) });
  const { dispatch, metrics, sessions, traces, objects } = core;
  const maxBodyBytes = options.maxBodyBytes ?? defaultMaxBodyBytes;
  const { tokens, keys } = core;
  const continuation = options.continuation ?? true;
  const ready = (): boolean => core.ready;
  const door = new FrontDoor({
    ...{ dispatch, upstream, sessions, objects, tokens, keys, metrics, traces, log },
    ...{ maxBodyBytes, continuation, ready },
    connector: options.connector ?? null,
  });

  const server = await serve((exchange) => door.serve(exchange), {
    host: options.host ?? '127.0.0.1',
    port: options.port ?? 8080,
    portFlag: '--port',
  });
  const adminServer = await core
    .serveAdmin({ door, port: options.adminPort ?? 8081, portFlag: '--admin-port' })
    .catch((error: unknown) => {
      void server.drain(0);
      throw error;
    });
  core.start();
  log.info({ port: server.port, adminPort: portOf(adminServer), policy: dispatch.policy.name }, 'listening');

  return {
    port: server.port,
    adminPort: portOf(adminServer),
    reload: () => core.reload(),
    async close(graceMs = defaultGraceMs) {
      door.startDraining();
      core.stopWatching();
      await server.drain(graceMs);
      await core.close();
      await upstream.destroy();
    },
  };
}
