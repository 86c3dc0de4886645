import { SignalboxError } from '../base/errors.ts';
import { createLogger, type Logger } from '../base/log.ts';
import type { HandedDown } from '../base/handed-down.ts';
import { connectorNamed, type ConnectorName } from '../disaggregation/connectors/index.ts';
import { firstPlace, type WorkerPlace } from '../door/worker-place.ts';
import { refuseStrangers } from '../keys/open-door.ts';
import { descriptorOf, portOf } from '../proxy/listen.ts';
import { startSuccessor } from '../proxy/successor.ts';
import { Serving, type ServingOptions } from './serving.ts';
import type { Workers } from './workers/workers.ts';

export interface GatewayOptions extends ServingOptions {
  /** Serve everybody, although strangers may reach the port. */
  readonly isOpen?: boolean;
  readonly port?: number;
  readonly adminPort?: number;
  /** How the gateway itself has a prompt's cache handed over from prefill to decode; sidecars do by default. */
  readonly connector?: ConnectorName;
  /** Threads that serve; 1 by default. */
  readonly workers?: number;
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

const defaultGraceMs = 30_000;
/** Connections to a socket that was handed down wait for so long until there is an endpoint to answer them. */
const mostUntilReadyMs = 3000;

function placeOfFirst(count: number, { kubernetes, keysFile, share }: GatewayOptions): WorkerPlace {
  if (share !== undefined) {
    throw new SignalboxError('usage', '--workers is for one process, and --share for several: use one of them');
  }
  return firstPlace(count, kubernetes !== undefined, keysFile !== undefined);
}

/** Starts a gateway in this process. Resolves when both ports listen; requests are answered once an endpoint is. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { host = '127.0.0.1', port: wantedPort = 8080, adminPort = 8081, handedDown = null } = options;
  refuseStrangers(host, options.keysFile, options.isOpen ?? false);
  const log = options.log ?? createLogger('gateway');
  const count = options.workers ?? 1;
  // Nothing of it is loaded, and no memory is shared, where one thread serves.
  const { Workers: Several } = count > 1 ? await import('./workers/workers.ts') : { Workers: null };
  const place = Several === null ? {} : { place: placeOfFirst(count, options) };
  const connector = options.connector === undefined ? null : connectorNamed(options.connector);
  const serving = await Serving.create({ ...options, ...place }, connector, log);
  const { core, door } = serving;
  const workers: Workers | null = Several === null ? null : new Several(core, options, place.place!, log);

  const closed = async (): Promise<void> => {
    await workers?.close(0);
    await serving.close(0);
  };
  try {
    // Others have listened there, or will: nobody is to be turned away by one who has only just begun to look around.
    if (handedDown !== null) {
      core.start();
      await core.untilReady(mostUntilReadyMs);
    }
    const port = workers === null || handedDown !== null ? wantedPort : await workers.sharedPort(host, wantedPort);
    const api = await serving.listen({ port, descriptor: handedDown?.api ?? null, isShared: workers !== null });
    const adminServer = await core.serveAdmin({
      ...{ door, port: adminPort, portFlag: '--admin-port', descriptor: handedDown?.admin ?? null },
    });
    if (handedDown === null) core.start();
    await workers?.start(api.port, handedDown);
    const threads = workers === null ? {} : { workers: count };
    log.info(
      { port: api.port, adminPort: portOf(adminServer), policy: core.dispatch.policy.name, ...threads },
      'listening',
    );
    let othersListen = handedDown !== null;
    return {
      port: api.port,
      adminPort: portOf(adminServer),
      async reload() {
        workers?.reload();
        await core.reload();
      },
      async handOver() {
        const sockets = [api.descriptor, descriptorOf(adminServer), ...(workers?.descriptors ?? [])];
        const successor = await startSuccessor(sockets);
        log.info({ successor }, 'another process has taken over; what is under way here ends');
        othersListen = true;
      },
      async close(graceMs = defaultGraceMs) {
        serving.startDraining();
        const others = workers?.close(graceMs);
        if (othersListen) await core.closeAdmin();
        // The first thread is there until the others have ended: it watches the endpoints for them.
        await Promise.all([others, serving.drain(graceMs)]);
        await serving.close(graceMs);
      },
    };
  } catch (error) {
    await closed();
    throw error;
  }
}
