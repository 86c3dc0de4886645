import { SignalboxError } from '../base/errors.ts';
import { createLogger, type Logger } from '../base/log.ts';
import type { Connector } from '../disaggregation/connector.ts';
import { Core, type CoreOptions } from '../door/core.ts';
import { readServerFiles, watchTlsFiles } from '../door/tls-files.ts';
import { refuseStrangers } from '../keys/open-door.ts';
import type { HandedDown } from '../base/handed-down.ts';
import { descriptorOf, portOf } from '../proxy/listen.ts';
import { connectUpstream, serve } from '../proxy/http-engine.ts';
import type { HttpEngine } from '../proxy/http-engines.ts';
import { startSuccessor } from '../proxy/successor.ts';
import { FrontDoor } from './front-door.ts';

export interface GatewayOptions extends CoreOptions {
  /** Serve HTTPS: a folder with `tls.crt` and `tls.key`, read again when they change. */
  readonly certPath?: string;
  /** Ask clients for certificates that this authority has signed. */
  readonly clientCa?: string;
  /** Serve everybody, although strangers may reach the port. */
  readonly isOpen?: boolean;
  readonly port?: number;
  readonly adminPort?: number;
  readonly maxBodyBytes?: number;
  /** False: streams that break end there, with an error event. */
  readonly continuation?: boolean;
  /** What speaks HTTP; our own by default. */
  readonly httpEngine?: HttpEngine;
  /** How the gateway itself has a prompt's cache handed over from prefill to decode; sidecars do by default. */
  readonly connector?: Connector;
  /** Sockets to listen with in place of host and ports. */
  readonly handedDown?: HandedDown | null;
  readonly log?: Logger;
}

export interface Gateway {
  readonly port: number;
  readonly adminPort: number;
  /** Reads the policy and the endpoints file again; what does not validate changes nothing. @throws SignalboxError */
  reload(): Promise<void>;
  /**
   * Starts this program anew in another process that takes over the ports; resolves when it answers. What is under way here
   * is to be ended by `close` then. @throws SignalboxError where it does not come to that: all is as before
   */
  handOver(): Promise<void>;
  /** Ends: no new requests, those there are finish within `graceMs`. */
  close(graceMs?: number): Promise<void>;
}

const defaultMaxBodyBytes = 32 * 1024 * 1024;
const defaultGraceMs = 30_000;
/** Connections to a socket that was handed down wait for so long until there is an endpoint to answer them. */
const mostUntilReadyMs = 3000;

/** Starts a gateway in this process. Resolves when both ports listen; requests are answered once an endpoint is. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  refuseStrangers(options.host ?? '127.0.0.1', options.keysFile, options.isOpen ?? false);
  const log = options.log ?? createLogger('gateway');
  const httpEngine = options.httpEngine ?? 'own';
  const upstream = connectUpstream(httpEngine);
  const core = await Core.create(options, log, {
    addresses: (addresses) => upstream.retain(addresses),
    security: (security) => upstream.setSecurity(security),
  });
  const { certPath, clientCa } = options;
  if (certPath === undefined && clientCa !== undefined) {
    throw new SignalboxError('usage', '--client-ca needs --cert-path');
  }
  const files = certPath === undefined ? null : { certPath, clientCa };
  const { dispatch, metrics, sessions, traces, objects } = core;
  const maxBodyBytes = options.maxBodyBytes ?? defaultMaxBodyBytes;
  const { tokens, keys, bodies } = core;
  const continuation = options.continuation ?? true;
  const ready = (): boolean => core.ready;
  const door = new FrontDoor({
    ...{ dispatch, upstream, sessions, objects, tokens, keys, metrics, traces, log },
    ...{ bodies, maxBodyBytes, continuation, ready },
    connector: options.connector ?? null,
  });

  const { host = '127.0.0.1', port = 8080, adminPort = 8081, handedDown = null } = options;
  // Others have listened there, or will: nobody is to be turned away by one who has only just begun to look around.
  if (handedDown !== null) {
    core.start();
    await core.untilReady(mostUntilReadyMs);
  }
  const tls = files === null ? {} : { certificate: await readServerFiles(files) };
  const api = { host, port, portFlag: '--port', descriptor: handedDown?.api ?? null, ...tls };
  const server = await serve(httpEngine, (exchange) => door.serve(exchange), api).catch(async (error: unknown) => {
    await core.close();
    throw error;
  });
  const adminServer = await core
    .serveAdmin({ door, port: adminPort, portFlag: '--admin-port', descriptor: handedDown?.admin ?? null })
    .catch(async (error: unknown) => {
      void server.drain(0);
      await core.close();
      throw error;
    });
  if (handedDown === null) core.start();
  const replace = async (): Promise<void> => server.setCertificate(await readServerFiles(files!));
  const watched = files === null ? [] : watchTlsFiles(files, replace, log);
  log.info({ port: server.port, adminPort: portOf(adminServer), policy: dispatch.policy.name }, 'listening');
  let othersListen = handedDown !== null;

  return {
    port: server.port,
    adminPort: portOf(adminServer),
    reload: () => core.reload(),
    async handOver() {
      const successor = await startSuccessor([server.descriptor, descriptorOf(adminServer)]);
      log.info({ successor }, 'another process has taken over; what is under way here ends');
      othersListen = true;
    },
    async close(graceMs = defaultGraceMs) {
      door.startDraining();
      for (const file of watched) file.close();
      core.stopWatching();
      if (othersListen) await core.closeAdmin();
      await server.drain(graceMs);
      await core.close();
      await upstream.destroy();
    },
  };
}
