import type { ContainerTemplate } from './components.ts';
import type { Probe } from './probe.ts';

/** What the command lines of one pod's containers have in common. */
export interface PodContext {
  readonly podName: string;
  readonly namespace: string;
  /** One for each container, in order. */
  readonly ports: readonly number[];
  readonly gateway: GatewayContext;
}

export interface GatewayContext {
  readonly host: string;
  readonly port: number;
  readonly adminPort: number;
  /** A file of API keys; null where everybody is served. */
  readonly keysFile: string | null;
  /** Of ext_proc, where the EPP has a process of its own. */
  readonly eppPort: number;
  /** The EPP pod's own log: the steps of every decision. */
  readonly eppLog: string;
  /** Where to find endpoints: the file that the supervisor writes, or the engines that the user named. */
  readonly endpoints: { readonly file: string } | { readonly urls: readonly string[] };
}

/** The command line of a container, after `signalbox`. */
export function containerArgs(template: ContainerTemplate, index: number, context: PodContext): string[] {
  const port = String(context.ports[index]);
  switch (template.program) {
    case 'engine':
      return ['engine', '--host', '127.0.0.1', '--port', port, ...kvEventsOn, ...template.args];
    case 'sidecar':
      return sidecarArgs(template, index, context);
    case 'gateway':
      return [...gatewayArgs(context), ...template.args];
    case 'envoy':
      return envoyArgs(context);
    case 'epp':
      return [...eppArgs(context), ...template.args];
    default:
      throw new Error(`${template.program} runs in another container's process`);
  }
}

/** Routers here know exactly what their engines have cached; any port will do, since engines tell which it is. */
const kvEvents = { enable_kv_cache_events: true, endpoint: 'tcp://127.0.0.1:0', replay_endpoint: 'tcp://127.0.0.1:0' };
const kvEventsOn = ['--kv-events-config', JSON.stringify(kvEvents)];

function sidecarArgs({ args }: ContainerTemplate, index: number, { ports, gateway }: PodContext): string[] {
  const { endpoints } = gateway;
  return [
    'sidecar',
    ...['--host', '127.0.0.1', '--port', String(ports[index]), '--vllm-port', String(ports[index + 1])],
    ...('file' in endpoints ? ['--endpoints-file', endpoints.file] : []),
    ...args,
  ];
}

function gatewayArgs({ podName, namespace, gateway }: PodContext): string[] {
  const { host, port, adminPort, keysFile, eppLog, endpoints } = gateway;
  return [
    'gateway',
    ...['--host', host, '--port', String(port), '--admin-port', String(adminPort)],
    ...(keysFile === null ? ['--no-keys'] : ['--keys-file', keysFile]),
    ...('file' in endpoints ? ['--endpoints-file', endpoints.file] : ['--endpoint', ...endpoints.urls]),
    ...['--epp-log', eppLog, '-v', '4', '--name', podName, '--namespace', namespace],
  ];
}

function envoyArgs({ ports, gateway }: PodContext): string[] {
  const { host, port, eppPort } = gateway;
  const epp = ['--epp', `127.0.0.1:${eppPort}`, '--no-secure-serving'];
  return ['envoy', '--host', host, '--port', String(port), '--admin-port', String(ports[1]), ...epp];
}

/** Its log is its container's. Envoy goes where it says and knows no other place, so it names none. */
function eppArgs({ namespace, gateway }: PodContext): string[] {
  const { adminPort, eppPort, endpoints } = gateway;
  const ports = ['--grpc-port', String(eppPort), '--grpc-health-port', '0', '--metrics-port', String(adminPort)];
  return [
    ...['epp', '--host', '127.0.0.1', ...ports, '--secure-serving=false', '--fallbacks', '0'],
    ...('file' in endpoints ? ['--endpoints-file', endpoints.file] : ['--endpoint', ...endpoints.urls]),
    ...['--epp-log', '-', '-v', '4', '--namespace', namespace],
  ];
}

/** How to find out that a container is ready. */
export function containerProbe(template: ContainerTemplate, index: number, context: PodContext): Probe {
  const host = '127.0.0.1';
  if (template.program === 'envoy') {
    return { host, port: context.ports[1]!, path: '/ready', accepts: (status) => status === 200 };
  }
  if (template.program === 'gateway' || template.program === 'epp') {
    return { host, port: context.gateway.adminPort, path: '/healthz', accepts: (status) => status === 200 };
  }
  // The sidecar is ready when it answers at all; whether its engine is, the engine says itself.
  const accepts = template.program === 'sidecar' ? () => true : (status: number) => status === 200;
  return { host, port: context.ports[index]!, path: '/health', accepts };
}
