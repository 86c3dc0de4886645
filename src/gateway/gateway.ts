import { randomBytes, randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { wallClock } from '../base/clock.ts';
import { messageOf, SignalboxError } from '../base/errors.ts';
import { createLogger, type Logger } from '../base/log.ts';
import { seededRandom } from '../base/random.ts';
import { Dispatch } from '../dispatch/dispatch.ts';
import { endpointFromUrl } from '../fleet/discovery/endpoint-url.ts';
import { readEndpointsFile, watchFile, type FileWatch } from '../fleet/discovery/endpoints-file.ts';
import { Fleet } from '../fleet/fleet.ts';
import { HttpGetter } from '../fleet/http-get.ts';
import { FleetWatch } from '../fleet/watch.ts';
import { Journal } from '../journal/journal.ts';
import { drain, listen, portOf } from '../proxy/listen.ts';
import { Upstream } from '../proxy/upstream.ts';
import type { Endpoint } from '../scheduler/endpoint.ts';
import { writeEppLog } from './epp-log.ts';
import { FrontDoor } from './front-door.ts';
import { GatewayMetrics } from './metrics.ts';
import { loadPolicy, type LoadedPolicy, type PolicySource } from './policy-source.ts';
import { SessionTokens } from './session-token.ts';

export interface GatewayOptions {
  readonly host?: string;
  readonly port?: number;
  readonly adminPort?: number;
  /** Engines' URLs (`http://host:port`). */
  readonly endpoints?: readonly string[];
  /** A file that lists endpoints and is watched. */
  readonly endpointsFile?: string;
  readonly policy?: PolicySource;
  /** Where the EPP's log goes (`-` is stdout), and down to which verbosity. */
  readonly eppLog?: string;
  readonly verbosity?: number;
  /** Pod and namespace names, as they stand in logs and metrics. */
  readonly name?: string;
  readonly namespace?: string;
  readonly maxBodyBytes?: number;
  readonly sessionKeyFile?: string;
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
  const log = options.log ?? createLogger('gateway');
  const host = options.host ?? '127.0.0.1';
  const source: PolicySource = options.policy ?? { environment: process.env };
  const { policy, warnings } = await loadPolicy(source);
  for (const warning of warnings) log.warn(warning);

  const fleet = new Fleet({ prefixSeed: { low: randomInt(2 ** 32), high: randomInt(2 ** 32) } });
  const journal = new Journal();
  const random = seededRandom(randomInt(2 ** 32));
  const dispatch = new Dispatch({ clock: wallClock, random, fleet, journal, policy });
  const upstream = new Upstream();
  const metrics = new GatewayMetrics(fleet, journal, options.name ?? 'default');
  const sessions = new SessionTokens(await sessionKey(options.sessionKeyFile));
  const maxBodyBytes = options.maxBodyBytes ?? defaultMaxBodyBytes;
  const door = new FrontDoor({ dispatch, upstream, sessions, metrics, log, maxBodyBytes });
  const http = new HttpGetter();
  const watch = new FleetWatch(fleet, wallClock, http);

  const fixed = (options.endpoints ?? []).map(endpointFromUrl);
  const setEndpoints = (listed: readonly (Endpoint & { readonly ready: boolean })[]): void => {
    const all = [...fixed.map((endpoint) => ({ ...endpoint, ready: true })), ...listed];
    const names = new Set(all.map(({ name }) => name));
    for (const slot of fleet.slots) {
      const { name } = fleet.endpointAt(slot)!;
      if (!names.has(name)) fleet.remove(name);
    }
    for (const { ready, ...endpoint } of all) fleet.add(endpoint, ready);
    upstream.retain(new Set(all.map(({ address }) => address)));
    watch.refresh();
  };

  let generation = 1;
  const reloadEndpoints = async (): Promise<void> => {
    if (options.endpointsFile !== undefined) setEndpoints((await readEndpointsFile(options.endpointsFile)).endpoints);
  };
  const reloadPolicy = async (): Promise<void> => {
    const loaded: LoadedPolicy = await loadPolicy(source);
    if (loaded.policy.hash === dispatch.policy.hash) return;
    dispatch.setPolicy(loaded.policy);
    generation++;
    log.info({ policy: loaded.policy.name, hash: loaded.policy.hash, generation }, 'policy replaced');
  };
  const reload = async (): Promise<void> => {
    try {
      await reloadPolicy();
      await reloadEndpoints();
    } catch (error) {
      log.error(`${messageOf(error)} (what was there before stays)`);
      throw error;
    }
  };
  const orKeep = (step: () => Promise<void>) => (): void => {
    step().catch((error: unknown) => log.error(`${messageOf(error)} (what was there before stays)`));
  };

  // Bound before anything is watched or started, so that a taken port leaves nothing behind.
  const server = await listen((request, response) => door.handle(request, response), {
    host,
    port: options.port ?? 8080,
    portFlag: '--port',
  });
  const { createAdmin } = await import('../admin/admin.ts');
  const admin = createAdmin({ door, dispatch, metrics, host, reload, generation: () => generation });
  const adminServer = await listen(admin.handle, {
    host,
    port: options.adminPort ?? 8081,
    portFlag: '--admin-port',
  }).catch((error: unknown) => {
    server.close();
    throw error;
  });

  setEndpoints([]);
  const files: FileWatch[] = [];
  if (options.endpointsFile !== undefined) {
    orKeep(reloadEndpoints)();
    files.push(watchFile(options.endpointsFile, orKeep(reloadEndpoints)));
  }
  if (source.configFile !== undefined) files.push(watchFile(source.configFile, orKeep(reloadPolicy)));
  watch.start();
  const eppLog =
    options.eppLog === undefined
      ? null
      : writeEppLog(journal, {
          target: options.eppLog,
          verbosity: options.verbosity ?? 4,
          namespace: options.namespace ?? 'default',
        });
  log.info({ port: portOf(server), adminPort: portOf(adminServer), policy: policy.name }, 'listening');

  return {
    port: portOf(server),
    adminPort: portOf(adminServer),
    reload,
    async close(graceMs = defaultGraceMs) {
      door.startDraining();
      for (const file of files) file.close();
      await drain(server, graceMs);
      watch.stop();
      http.close();
      admin.close();
      await drain(adminServer, 0);
      await upstream.destroy();
      eppLog?.close();
    },
  };
}

async function sessionKey(file: string | undefined): Promise<Buffer> {
  if (file === undefined) return randomBytes(32);
  const key = await readFile(file).catch((error: unknown) => {
    throw new SignalboxError('environment', `--session-key-file ${file}: ${messageOf(error)}`);
  });
  if (key.length < 16) {
    throw new SignalboxError('environment', `--session-key-file ${file}: at least 16 bytes are needed`);
  }
  return key;
}
