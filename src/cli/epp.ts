import { Command, Option } from 'commander';
import { SignalboxError } from '../base/errors.ts';
import { foreignFlags } from '../compat/llm-d-flags.ts';
import type { EppOptions } from '../epp/epp.ts';
import { duration, portNumber, positiveWholeNumber, wholeNumber } from './arguments.ts';
import { addKubernetesFlags, kubernetesSource, switched, type KubernetesFlags } from './kubernetes-source.ts';
import { kvEventsOf, withKvEventsOptions, type KvEventsFlags } from './kv-events-options.ts';
import { readPools } from './pools-file.ts';
import { untilSignalled } from './signals.ts';
import { shareGroupOption, shareOption } from './sharing-options.ts';

interface Flags extends KubernetesFlags, KvEventsFlags {
  host: string;
  grpcPort: number;
  grpcHealthPort: number;
  metricsPort: number;
  poolsFile?: string;
  objectsFile?: string[];
  configFile?: string;
  configText?: string;
  shadow?: string[];
  compat?: 'llm-d';
  namespace: string;
  secureServing: boolean;
  certPath?: string;
  clientCa?: string;
  observeStreams: number;
  maxBodyBytes: number;
  maxTotalBodyBytes: number;
  fallbacks: number;
  conformance?: true;
  canary?: true;
  drainTimeout: number;
  verbosity: number;
  v?: number;
  eppLog?: string;
  sessionKeyFile?: string;
  keysFile?: string;
  share?: string;
  shareGroup: string;
  journal?: string;
  journalMaxBytes: number;
  haEnableLeaderElection: boolean;
  tracing: boolean;
}

export function eppCommand(): Command {
  const command = new Command('epp')
    .description(
      "Run the endpoint picker behind Envoy or any Gateway API gateway (ext_proc), with llm-d's flags. " +
        '`signalbox envoy-config` prints an Envoy for it.',
    )
    .option('--host <host>', 'address to listen on', '0.0.0.0')
    .option('--grpc-port <port>', 'port of ext_proc', portNumber, 9002)
    .option('--grpc-health-port <port>', 'port of the health service, without TLS', portNumber, 9003)
    .option('--metrics-port <port>', 'port of the admin API and metrics', portNumber, 9090)
    .option('--endpoint <url...>', 'engines of the pool, as http://host:port')
    .option('--endpoints-file <file>', "file that lists endpoints, ours or llm-d's; watched")
    .option('--endpoint-dns <name...>', 'endpoints by DNS: host:port, or the name of SRV records')
    .option('--pools-file <file>', 'several pools, each with its engines and policy; see docs/behind-envoy.md')
    .option('--objects-file <file...>', 'InferenceObjectives and InferenceModelRewrites; watched');
  addKubernetesFlags(command)
    .addOption(
      new Option(
        '--config-file <file>',
        "policy, as an EndpointPickerConfig; watched. Without one llm-d's environment switches count",
      ).conflicts('configText'),
    )
    .option('--config-text <yaml>', 'the same as text')
    .addOption(new Option('--compat <system>', 'whose defaults count where nothing is configured').choices(['llm-d']))
    .option('--shadow <name...>', 'policies to compare with, without effect: presets, or EndpointPickerConfig files')
    .option('--namespace <namespace>', 'namespace of the pods, for logs', 'default')
    .addOption(
      new Option('--secure-serving [bool]', 'TLS on the ext_proc port').default(true).preset(true).argParser(switched),
    )
    .option('--cert-path <folder>', 'folder with tls.crt and tls.key, reloaded; without it a self-signed certificate')
    .option('--client-ca <file>', 'serve only data planes whose certificate this authority has signed; reloaded')
    .option('--observe-streams <n>', 'read usage from one streamed answer in n; 1 is all', positiveWholeNumber, 16)
    .option(
      '--fallbacks <n>',
      "addresses named after the one picked, for retries; Envoy's ORIGINAL_DST takes none",
      wholeNumber,
      4,
    )
    .option('--conformance', 'obey test-epp-endpoint-selection, as the conformance tests need; any client may send it')
    .option('--max-body-bytes <bytes>', 'largest request body taken', positiveWholeNumber, 32 * 1024 * 1024)
    .option(
      '--max-total-body-bytes <bytes>',
      'memory for the bodies of all requests together',
      positiveWholeNumber,
      256 * 1024 * 1024,
    )
    .option('--drain-timeout <duration>', 'how long streams may go on after SIGTERM, e.g. 30s', duration, 30_000)
    .option('-v, --verbosity <level>', "verbosity of the EPP's log: 4 shows every step of each decision", level, 2)
    .addOption(new Option('--v <level>').argParser(level).hideHelp())
    .option('--epp-log <file>', "write the EPP's log there; - is stdout")
    .option('--journal <folder>', 'append every decision there, a line of JSON each, in files that rotate')
    .option(
      '--journal-max-bytes <bytes>',
      'how much may stand there; the oldest goes',
      positiveWholeNumber,
      256 * 1024 * 1024,
    )
    .option('--canary', 'an endpoint that was out must answer one token before it is used again')
    .option('--session-key-file <file>', 'key that signs session tokens, when several EPPs share them')
    .addOption(shareOption())
    .addOption(shareGroupOption())
    .option('--keys-file <file>', 'API keys to ask for (their hashes), limits and issuers of tokens; watched')
    .addOption(
      new Option('--tracing [bool]', "write traces where OpenTelemetry's variables name a collector")
        .default(true)
        .preset(true)
        .argParser(switched),
    )
    .addOption(
      new Option('--ha-enable-leader-election [bool]').default(false).preset(true).argParser(switched).hideHelp(),
    );
  withKvEventsOptions(command);
  for (const { name } of foreignFlags) command.addOption(new Option(`--${name} [value]`).hideHelp());
  return command.action((flags: Flags, self: Command) => runEpp(flags, self));
}

async function runEpp(flags: Flags, command: Command): Promise<void> {
  if (flags.haEnableLeaderElection) {
    throw new SignalboxError(
      'usage',
      '--ha-enable-leader-election: there is no leader here, since every replica decides; leave it away',
    );
  }
  const options = optionsOf(flags);
  const pools = flags.poolsFile === undefined ? {} : { pools: await readPools(flags.poolsFile) };
  const { startEpp } = await import('../epp/epp.ts');
  const { createLogger } = await import('../base/log.ts');
  const log = createLogger('epp');
  for (const option of command.options) {
    const foreign = foreignFlags.find(({ name }) => `--${name}` === option.long);
    if (foreign === undefined || foreign.reason === null) continue;
    if (command.getOptionValueSource(option.attributeName()) === 'cli') {
      log.warn(`${option.long} has no effect: ${foreign.reason}`);
    }
  }
  const epp = await startEpp({ ...options, ...pools, log });
  // What does not validate is in the log, and changes nothing.
  process.on('SIGHUP', () => void epp.reload().catch(() => undefined));
  await untilSignalled();
  await epp.close(flags.drainTimeout);
}

function optionsOf(flags: Flags): EppOptions {
  const { endpoint, endpointsFile, configFile, configText, compat, shadow, certPath, eppLog, sessionKeyFile, journal } =
    flags;
  const kubernetes = flags.poolsFile === undefined ? kubernetesSource(flags) : null;
  return {
    host: flags.host,
    grpcPort: flags.grpcPort,
    healthPort: flags.grpcHealthPort,
    adminPort: flags.metricsPort,
    name: flags.poolName ?? 'default',
    namespace: flags.namespace,
    secureServing: flags.secureServing,
    observeStreams: flags.observeStreams,
    fallbacks: flags.fallbacks,
    conformance: flags.conformance ?? false,
    canary: flags.canary ?? false,
    tracing: flags.tracing,
    maxBodyBytes: flags.maxBodyBytes,
    maxTotalBodyBytes: flags.maxTotalBodyBytes,
    verbosity: flags.v ?? flags.verbosity,
    ...(endpoint === undefined ? {} : { endpoints: endpoint }),
    ...(flags.endpointDns === undefined ? {} : { endpointsDns: flags.endpointDns }),
    ...(flags.objectsFile === undefined ? {} : { objectsFiles: flags.objectsFile }),
    ...(flags.poolName === undefined ? {} : { poolName: flags.poolName }),
    journalFolderBytes: flags.journalMaxBytes,
    ...(journal === undefined ? {} : { journalFolder: journal }),
    ...(shadow === undefined ? {} : { shadows: shadow }),
    ...kvEventsOf(flags),
    ...(endpointsFile === undefined ? {} : { endpointsFile }),
    ...(kubernetes === null ? {} : { kubernetes }),
    metricsAuth: flags.metricsEndpointAuth,
    ...(certPath === undefined ? {} : { certPath }),
    ...(flags.clientCa === undefined ? {} : { clientCa: flags.clientCa }),
    ...(eppLog === undefined ? {} : { eppLog }),
    ...(sessionKeyFile === undefined ? {} : { sessionKeyFile }),
    shareGroup: flags.shareGroup,
    ...(flags.share === undefined ? {} : { share: flags.share }),
    ...(flags.keysFile === undefined ? {} : { keysFile: flags.keysFile }),
    policy: {
      environment: process.env,
      ...(configFile === undefined ? {} : { configFile }),
      ...(configText === undefined ? {} : { configText }),
      ...(compat === undefined ? {} : { compat }),
    },
  };
}

/** Go's flags take `-v=4` too. */
function level(text: string): number {
  return wholeNumber(text.replace(/^=/, ''));
}
