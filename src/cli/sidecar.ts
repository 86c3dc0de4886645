import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { messageOf, SignalboxError } from '../base/errors.ts';
import { createLogger } from '../base/log.ts';
import { foreignSidecarFlags } from '../compat/llm-d-sidecar-flags.ts';
import { connectorNamed, connectorNames, defaultBootstrapPort } from '../disaggregation/connectors/index.ts';
import type { Certificate } from '../proxy/listen.ts';
import { selfSignedCertificate } from '../proxy/certificate.ts';
import type { Security } from '../proxy/upstream.ts';
import { duration, goSwitch, portList, portNumber, positiveWholeNumber } from './arguments.ts';
import { untilSignalled } from './signals.ts';

interface Flags {
  host: string;
  port: number;
  vllmPort: number;
  modelServerPort?: number;
  connector?: (typeof connectorNames)[number];
  kvConnector?: (typeof connectorNames)[number];
  prefillEndpoint?: string[];
  endpointsFile?: string;
  endpointSelector?: string;
  endpointTargetPorts: number[];
  inferencePool?: string;
  enableSsrfProtection: boolean;
  dataParallelSize: number;
  sglangBootstrapPort: number;
  mooncakeBootstrapPort: number;
  prefillTimeout: number;
  secureProxy: boolean;
  secureServing: boolean;
  certPath?: string;
  prefillerUseTls: boolean;
  prefillerTlsInsecureSkipVerify: boolean;
  decoderUseTls: boolean;
  decoderTlsInsecureSkipVerify: boolean;
  enableTls?: string[];
  tlsInsecureSkipVerify?: string[];
}

const bootstrapPort = (name: string): number => Number(process.env[name] ?? defaultBootstrapPort);
const list = (text: string): string[] => text.split(',').map((each) => each.trim());

export function sidecarCommand(): Command {
  const command = new Command('sidecar')
    .description('Run the routing proxy that stands in front of a decode engine and has prompts computed elsewhere.')
    .option('--host <host>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', 'port to listen on', portNumber, 8000)
    .option('--vllm-port <port>', 'port of the engine on this machine', portNumber, 8001)
    .option('--model-server-port <port>', 'the same', portNumber)
    .addOption(
      new Option('--connector <name>', 'how caches are handed over from prefill (default: nixlv2)').choices(
        connectorNames,
      ),
    )
    .addOption(new Option('--kv-connector <name>', 'the same').choices(connectorNames))
    .option('--prefill-endpoint <address...>', 'endpoints that may compute prompts, as host:port')
    .option('--endpoints-file <file>', 'file that lists such endpoints; watched')
    .option('--endpoint-selector <labels>', "pods of this one's namespace that may, e.g. llm-d.ai/role=prefill")
    .option('--endpoint-target-ports <ports>', 'ports of these pods', portList, [8000])
    .option('--inference-pool <name>', 'an InferencePool of the cluster whose pods may, as NAMESPACE/NAME or NAME')
    .option(
      '--enable-ssrf-protection [boolean]',
      'false: prompts are sent to any address a request names',
      goSwitch,
      true,
    )
    .option(
      '--data-parallel-size <ranks>',
      'ranks of the engine, on ports that follow each other',
      positiveWholeNumber,
      1,
    )
    .option('--prefill-timeout <duration>', 'how long a prefill may take before another is tried', duration, 120_000)
    .addOption(port('--sglang-bootstrap-port', 'SGLANG_BOOTSTRAP_PORT'))
    .addOption(port('--mooncake-bootstrap-port', 'MOONCAKE_BOOTSTRAP_PORT'))
    .option('--secure-proxy [boolean]', 'serve TLS', goSwitch, false)
    .option('--secure-serving [boolean]', 'the same', goSwitch, false)
    .option('--cert-path <folder>', 'folder with tls.crt and tls.key; without one a self-signed certificate is made')
    .option('--prefiller-use-tls [boolean]', 'prefill endpoints are reached by TLS', goSwitch, false)
    .option('--prefiller-tls-insecure-skip-verify [boolean]', 'whoever signed their certificates', goSwitch, false)
    .option('--decoder-use-tls [boolean]', 'the engine is reached by TLS', goSwitch, false)
    .option('--decoder-tls-insecure-skip-verify [boolean]', 'whoever signed its certificate', goSwitch, false)
    .option('--enable-tls <stages>', 'prefiller, decoder or both, by commas', list)
    .option('--tls-insecure-skip-verify <stages>', 'the same for not checking certificates', list);
  for (const { name } of foreignSidecarFlags) command.addOption(new Option(`--${name} [value]`).hideHelp());
  return command.action(async (flags: Flags) => {
    const log = createLogger('routing-proxy');
    for (const { name, reason } of foreignSidecarFlags) {
      const given = command.getOptionValueSource(camelCase(name)) === 'cli';
      if (given && reason !== null) log.warn(`--${name} has no effect: ${reason}`);
    }
    const name = flags.kvConnector ?? flags.connector ?? 'nixlv2';
    const isSecure = flags.secureProxy || flags.secureServing;
    const { startSidecar } = await import('../sidecar/sidecar.ts');
    const sidecar = await startSidecar({
      host: flags.host,
      port: flags.port,
      enginePort: flags.modelServerPort ?? flags.vllmPort,
      connector: connectorNamed(name, name === 'sglang' ? flags.sglangBootstrapPort : flags.mooncakeBootstrapPort),
      pool: {
        ...(flags.prefillEndpoint === undefined ? {} : { prefillEndpoints: flags.prefillEndpoint }),
        ...(flags.endpointsFile === undefined ? {} : { endpointsFile: flags.endpointsFile }),
        ...(flags.endpointSelector === undefined
          ? {}
          : { pods: { labelSelector: flags.endpointSelector, targetPorts: flags.endpointTargetPorts } }),
        ...(flags.inferencePool === undefined ? {} : { inferencePool: flags.inferencePool }),
        anywhere: !flags.enableSsrfProtection,
      },
      ranks: flags.dataParallelSize,
      prefillPatienceMs: flags.prefillTimeout,
      ...(isSecure ? { certificate: await certificateIn(flags.certPath) } : {}),
      ...secured('prefillSecurity', flags.prefillerUseTls, flags.prefillerTlsInsecureSkipVerify, 'prefiller', flags),
      ...secured('decodeSecurity', flags.decoderUseTls, flags.decoderTlsInsecureSkipVerify, 'decoder', flags),
      log,
    });
    await untilSignalled();
    await sidecar.close();
  });
}

function port(flag: string, variable: string): Option {
  return new Option(`${flag} <port>`, `of prefill engines' bootstrap servers; as ${variable}`)
    .argParser(portNumber)
    .default(bootstrapPort(variable));
}

function secured<Name extends string>(
  name: Name,
  uses: boolean,
  skips: boolean,
  stage: string,
  { enableTls = [], tlsInsecureSkipVerify = [] }: Flags,
): Partial<Record<Name, Security>> {
  if (!uses && !enableTls.includes(stage)) return {};
  return { [name]: { verifies: !skips && !tlsInsecureSkipVerify.includes(stage) } } as Record<Name, Security>;
}

async function certificateIn(folder: string | undefined): Promise<Certificate> {
  if (folder === undefined) return selfSignedCertificate(Date.now());
  const read = (name: string): Promise<string> =>
    readFile(join(folder, name), 'utf8').catch((error: unknown) => {
      throw new SignalboxError('environment', `--cert-path ${folder}: ${messageOf(error)}`);
    });
  return { cert: await read('tls.crt'), key: await read('tls.key') };
}

function camelCase(flag: string): string {
  return flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}
