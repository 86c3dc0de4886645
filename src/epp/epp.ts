import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import { parseRequest } from '../api/request.ts';
import { SignalboxError } from '../base/errors.ts';
import { createLogger, type Logger } from '../base/log.ts';
import { familiesOfAll, readAtScrape } from '../base/metrics.ts';
import { Core, type CoreOptions } from '../door/core.ts';
import { questionOf, withTokens } from '../door/question.ts';
import { readServerFiles, watchTlsFiles } from '../door/tls-files.ts';
import { portOf, type Certificate } from '../proxy/listen.ts';
import { selfSignedCertificate } from '../proxy/certificate.ts';
import { EndpointDiscovery } from './endpoint-discovery.ts';
import { Exchange } from './exchange.ts';
import { GrpcServer, type Method } from './grpc-server.ts';
import { healthMethods } from './health.ts';
import { poolMetadata, Pools } from './pools.ts';

/** What one pool of several has of its own. */
export type PoolOptions = Pick<
  CoreOptions,
  'endpoints' | 'endpointsFile' | 'endpointsDns' | 'objectsFiles' | 'policy' | 'poolName'
> & { readonly name: string };

export interface EppOptions extends CoreOptions {
  /** Several pools in place of the one that the options tell of; what they do not say themselves is as there. */
  readonly pools?: readonly PoolOptions[];
  readonly grpcPort?: number;
  readonly healthPort?: number;
  readonly adminPort?: number;
  /** False for plain HTTP/2. */
  readonly secureServing?: boolean;
  /** A folder with `tls.crt` and `tls.key`, read again when they change; without one a certificate of its own. */
  readonly certPath?: string;
  /** With `certPath`: only data planes whose certificate this authority has signed are served; a file, read again too. */
  readonly clientCa?: string;
  readonly maxBodyBytes?: number;
  /** Usage and text are read of one streamed answer in so many. */
  readonly observeStreams?: number;
  /** How many addresses are named after the one picked. */
  readonly fallbacks?: number;
  /** Obey the conformance tests' header `test-epp-endpoint-selection`; off by default, for any client may send it. */
  readonly conformance?: boolean;
  readonly log?: Logger;
}

export interface Epp {
  readonly grpcPort: number;
  readonly healthPort: number;
  readonly adminPort: number;
  /** Streams under way. */
  readonly openStreams: number;
  /** Reads the policy and the endpoints file again. @throws SignalboxError */
  reload(): Promise<void>;
  /** Ends: not ready from now on, callers are sent elsewhere, streams under way end within `graceMs`. */
  close(graceMs?: number): Promise<void>;
}

const processMethod = '/envoy.service.ext_proc.v3.ExternalProcessor/Process';
const defaultMaxBodyBytes = 32 * 1024 * 1024;
const defaultObserveStreams = 16;
const defaultFallbacks = 4;
const defaultGraceMs = 30_000;
/** Chunks of a body come in messages of at most the data plane's buffer. */
const largestMessageBytes = 8 * 1024 * 1024;
const largestHealthMessageBytes = 4096;

/** Starts an endpoint picker in this process. Resolves when its ports listen. */
export async function startEpp(options: EppOptions): Promise<Epp> {
  const log = options.log ?? createLogger('epp');
  const host = options.host ?? '127.0.0.1';
  const discovery = new EndpointDiscovery(log);
  const addressesOf = new Map<string, ReadonlySet<string>>();
  const named = await Promise.all(
    coreOptionsOf(options).map(async (each) => {
      const name = each.name ?? 'default';
      const addresses = (found: ReadonlySet<string>): void => {
        addressesOf.set(name, found);
        discovery.replace(new Set([...addressesOf.values()].flatMap((some) => [...some])));
      };
      return { name, core: await Core.create(each, log, { addresses }) };
    }),
  );
  const pools = new Pools(named as [(typeof named)[0]]);
  const cores = named.map(({ core }) => core);
  let draining = false;
  const ready = (): boolean => !draining && pools.ready;

  const every = options.observeStreams ?? defaultObserveStreams;
  let streams = 0;
  const exchangeOptions = {
    ...{ pools, log },
    // One bound for all pools.
    bodies: pools.first.bodies,
    maxBodyBytes: options.maxBodyBytes ?? defaultMaxBodyBytes,
    fallbacks: options.fallbacks ?? defaultFallbacks,
    conformance: options.conformance ?? false,
    observeNextStream: () => streams++ % every === 0,
  };
  const exchange: Method = (call, metadata) => new Exchange(call, metadata[poolMetadata] ?? null, exchangeOptions);
  const health = healthMethods({ ready });
  const methods = new Map([
    ...health,
    [processMethod, exchange] as const,
    [EndpointDiscovery.method, discovery.call] as const,
  ]);

  const { certPath, clientCa } = options;
  if (clientCa !== undefined && (certPath === undefined || options.secureServing === false)) {
    throw new SignalboxError('usage', '--client-ca needs --cert-path, and TLS');
  }
  const files = certPath === undefined ? null : { certPath, clientCa };
  const read = async (): Promise<Certificate> =>
    files === null ? selfSignedCertificate(Date.now()) : readServerFiles(files);
  const tls = options.secureServing === false ? null : await read();
  const server = await GrpcServer.listen({
    ...{ host, port: options.grpcPort ?? 9002, portFlag: '--grpc-port' },
    ...{ methods, largestMessageBytes, tls, log },
  });
  const started: { close(): unknown }[] = [{ close: () => server.close(0) }];
  try {
    // Kubernetes' gRPC probes speak no TLS.
    const healthServer = await GrpcServer.listen({
      ...{ host, port: options.healthPort ?? 9003, portFlag: '--grpc-health-port' },
      ...{ methods: health, largestMessageBytes: largestHealthMessageBytes, tls: null, log },
    });
    started.push({ close: () => healthServer.close(0) });
    const doorOf = (core: Core, isReady: () => boolean): Parameters<Core['adminListener']>[0] => ({
      get ready() {
        return isReady();
      },
      question: (kind, body, headers, answer) => {
        const { objects, tokens, fleet, sessions } = core;
        const parsed = objects.rewritten(parseRequest(kind, body));
        withTokens(parsed, tokens, (ids) =>
          answer(questionOf(parsed, 'explain', headers, fleet, sessions, objects, ids)),
        );
      },
    });
    const mounts = new Map<string, RequestListener>();
    if (named.length > 1) {
      for (const { name, core } of named) {
        mounts.set(`/pools/${name}`, await core.adminListener(doorOf(core, () => !draining && core.ready)));
      }
    }
    const adminServer = await pools.first.serveAdmin({
      door: doorOf(pools.first, ready),
      port: options.adminPort ?? 9090,
      portFlag: '--metrics-port',
      families: (own) => [
        ...(named.length === 1
          ? own
          : familiesOfAll('inference_pool', new Map(named.map(({ name, core }) => [name, core.families()])))),
        readAtScrape(['llm_d_epp_extproc_streams_inflight'], 'Streams of the data plane under way.', () => [
          { labels: {}, value: server.openCalls - discovery.openCalls },
        ]),
      ],
      mounts,
    });
    for (const core of cores) core.start();
    const replace = async (): Promise<void> => server.setCertificate(await read());
    const watches = tls === null || files === null ? [] : watchTlsFiles(files, replace, log);
    const ports = { grpcPort: server.port, healthPort: healthServer.port, adminPort: portOf(adminServer) };
    const policies = [...new Set(cores.map(({ dispatch }) => dispatch.policy.name))].join(', ');
    log.info({ ...ports, policy: policies, secure: tls !== null }, 'listening');
    return {
      ...ports,
      get openStreams() {
        return server.openCalls - discovery.openCalls;
      },
      async reload() {
        for (const core of cores) await core.reload();
      },
      async close(graceMs = defaultGraceMs) {
        draining = true;
        for (const watch of watches) watch.close();
        for (const core of cores) core.stopWatching();
        discovery.close();
        await server.close(graceMs);
        await healthServer.close(0);
        for (const core of cores) await core.close();
      },
    };
  } catch (error) {
    for (const each of started) each.close();
    throw error;
  }
}

/** What each pool is told: what all have, and what is its own; endpoints are each pool's own. */
function coreOptionsOf({ pools, ...options }: EppOptions): CoreOptions[] {
  if (pools === undefined) return [options];
  const { journalFolder, keysFile, ...shared } = options;
  return pools.map((pool, index) => ({
    ...shared,
    // A key's limits are one for all pools.
    // What one pool's replicas tell is of no use to another's.
    ...(shared.share === undefined ? {} : { shareGroup: `${shared.shareGroup ?? 'default'}/${pool.name}` }),
    ...(index > 0 || keysFile === undefined ? {} : { keysFile }),
    ...(journalFolder === undefined ? {} : { journalFolder: join(journalFolder, pool.name) }),
    ...pool,
  }));
}
