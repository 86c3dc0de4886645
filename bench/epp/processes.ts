import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { nodeFlags } from '../../scripts/lib/node-flags.ts';
import { root } from '../../scripts/lib/source-files.ts';
import { envoyBootstrap } from '../../src/epp/envoy-bootstrap.ts';
import { freePort, said, startHelper, startMeasured, until } from '../lib/processes.ts';
import type { LoadResult } from '../lib/load-result.ts';
import type { LoadOrder } from './load.ts';

export interface Engines {
  readonly ports: readonly number[];
  /** How often their metrics were read. */
  pageReads(): Promise<number>;
}

/** `keepAliveMs`: how long an engine keeps an idle connection open. */
export async function startEngines(count: number, keepAliveMs = 600_000): Promise<Engines> {
  const child = startHelper(join(import.meta.dirname, 'engines.ts'), String(count), String(keepAliveMs));
  const { ports } = await said<{ ports: number[] }>(child);
  return {
    ports,
    async pageReads() {
      child.send('pageReads');
      return (await said<{ pageReads: number }>(child)).pageReads;
    },
  };
}

export function startLoad(): (order: LoadOrder) => Promise<LoadResult> {
  const child = startHelper(join(import.meta.dirname, 'load.ts'));
  return (order) => {
    child.send(order);
    return said<LoadResult>(child);
  };
}

/** A program that is measured, and where it answers. */
export interface Front {
  readonly port: number;
  readonly pid: number;
  readonly child: ChildProcess;
}

interface EppOptions {
  readonly endpoints: readonly string[];
  readonly flags?: readonly string[];
}

export async function startEpp({ endpoints, flags = [] }: EppOptions): Promise<Front & { adminPort: number }> {
  const [port, healthPort, adminPort] = [await freePort(), await freePort(), await freePort()];
  const ports = ['--grpc-port', port, '--grpc-health-port', healthPort, '--metrics-port', adminPort].map(String);
  const profile = process.env['EPP_NODE_FLAGS']?.split(' ') ?? [];
  const main = join(root, 'src/cli/main.ts');
  const child = startMeasured(process.execPath, [
    ...nodeFlags,
    ...profile,
    main,
    ...['epp', '--host', '127.0.0.1', ...ports, ...flags, '--endpoint', ...endpoints],
  ]);
  await until(async () => (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).ok);
  return { port, adminPort, child, pid: child.pid! };
}

interface EnvoyOptions {
  readonly program: string;
  readonly folder: string;
  readonly endpoints: readonly string[];
  /** The EPP's port; null for an Envoy alone, which spreads requests round robin. */
  readonly epp: { readonly port: number; readonly tls: boolean } | null;
}

/** The bootstrap that `signalbox envoy-config` prints, on one thread. */
export async function startEnvoy({ program, folder, endpoints, epp }: EnvoyOptions): Promise<Front> {
  const port = await freePort();
  const bootstrap = envoyBootstrap({
    listen: { host: '127.0.0.1', port },
    adminPort: null,
    epp: { host: '127.0.0.1', port: epp?.port ?? 1, tls: epp?.tls === true ? {} : null },
    endpoints: endpoints.map((url) => ({ host: '127.0.0.1', port: Number(new URL(url).port) })),
    failOpen: false,
  });
  const path = join(folder, `envoy-${port}.yaml`);
  writeFileSync(path, epp === null ? withoutEpp(bootstrap) : bootstrap);
  const child = startMeasured(program, [...['-c', path, '--concurrency', '1', '--disable-hot-restart', '-l', 'error']]);
  await until(async () => (await fetch(`http://127.0.0.1:${port}/v1/models`)).ok);
  return { port, child, pid: child.pid! };
}

/** The same Envoy without ext_proc, which takes its endpoints in turn. */
function withoutEpp(bootstrap: string): string {
  const config = parse(bootstrap) as {
    static_resources: {
      listeners: {
        filter_chains: {
          filters: {
            typed_config: {
              http_filters: { name: string }[];
              route_config: { virtual_hosts: { routes: { typed_per_filter_config?: unknown }[] }[] };
            };
          }[];
        }[];
      }[];
      clusters: { name: string; load_balancing_policy?: unknown; lb_policy?: string }[];
    };
  };
  const { listeners, clusters } = config.static_resources;
  const manager = listeners[0]!.filter_chains[0]!.filters[0]!.typed_config;
  delete manager.route_config.virtual_hosts[0]!.routes[0]!.typed_per_filter_config;
  manager.http_filters = manager.http_filters.filter(({ name }) => name !== 'envoy.filters.http.ext_proc');
  config.static_resources.clusters = clusters.filter(({ name }) => name !== 'epp');
  for (const cluster of config.static_resources.clusters) {
    delete cluster.load_balancing_policy;
    cluster.lb_policy = 'ROUND_ROBIN';
  }
  return stringify(config, { lineWidth: 0, aliasDuplicateObjects: false });
}
