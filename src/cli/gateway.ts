import { Command, Option } from 'commander';
import { connectorNames, type ConnectorName } from '../disaggregation/connectors/index.ts';
import type { GatewayOptions } from '../gateway/gateway.ts';
import { httpEngines, type HttpEngine } from '../proxy/http-engines.ts';
import { duration, portNumber, positiveWholeNumber, wholeNumber } from './arguments.ts';
import { announceServing } from '../proxy/successor.ts';
import { takeHandedDown } from '../base/handed-down.ts';
import { addKubernetesFlags, kubernetesSource, type KubernetesFlags } from './kubernetes-source.ts';
import { kvEventsOf, withKvEventsOptions, type KvEventsFlags } from './kv-events-options.ts';
import { untilFollowed, untilSignalled } from './signals.ts';
import { shareGroupOption, shareOption } from './sharing-options.ts';

interface Flags extends KubernetesFlags, KvEventsFlags {
  host: string;
  port: number;
  adminHost: string;
  adminPort: number;
  objectsFile?: string[];
  prefillEndpoint?: string[];
  connector?: ConnectorName;
  configFile?: string;
  configText?: string;
  shadow?: string[];
  compat?: 'llm-d';
  verbosity: number;
  eppLog?: string;
  name: string;
  namespace: string;
  maxBodyBytes: number;
  maxTotalBodyBytes: number;
  sessionKeyFile?: string;
  certPath?: string;
  clientCa?: string;
  endpointTls?: boolean;
  endpointCa?: string;
  endpointCertPath?: string;
  adminTokenFile?: string;
  keysFile?: string;
  share?: string;
  shareGroup: string;
  keys: boolean;
  journal?: string;
  journalMaxBytes: number;
  continuation: boolean;
  canary?: boolean;
  drainTimeout: number;
  workers: number;
  httpEngine: HttpEngine;
}

export function gatewayCommand(): Command {
  const command = new Command('gateway')
    .description('Run the OpenAI-compatible gateway: it places each request on one of the endpoints.')
    .option('--host <host>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', 'port of the OpenAI API', portNumber, 8080)
    .option('--admin-host <host>', 'address of the admin API, the console and metrics', '127.0.0.1')
    .option('--admin-port <port>', 'port of the admin API and metrics', portNumber, 8081)
    .option('--endpoint <url...>', 'engines to place requests on, as http://host:port')
    .option(
      '--prefill-endpoint <url...>',
      'engines that compute prompts for those of --endpoint, which then only decode',
    )
    .addOption(
      new Option(
        '--connector <name>',
        'how the gateway has caches handed over from prefill to decode (default: nixlv2 with --prefill-endpoint; else sidecars do)',
      ).choices(connectorNames),
    )
    .option('--endpoints-file <file>', "file that lists endpoints, ours or llm-d's; watched")
    .option('--endpoint-dns <name...>', 'endpoints by DNS: host:port, or the name of SRV records')
    .option('--objects-file <file...>', 'InferenceObjectives and InferenceModelRewrites; watched');
  return withKvEventsOptions(addKubernetesFlags(command))
    .addOption(
      new Option(
        '--config-file <file>',
        "policy, as an EndpointPickerConfig; watched. Without one llm-d's environment switches count",
      ).conflicts('configText'),
    )
    .option('--config-text <yaml>', 'the same as text')
    .addOption(new Option('--compat <system>', 'whose defaults count where nothing is configured').choices(['llm-d']))
    .option('--shadow <name...>', 'policies to compare with, without effect: presets, or EndpointPickerConfig files')
    .option(
      '-v, --verbosity <level>',
      "verbosity of the EPP's log: 4 shows every step of each decision",
      wholeNumber,
      2,
    )
    .option('--epp-log <file>', "write the EPP's log there; - is stdout")
    .option('--name <pod>', "this gateway's name in logs and metrics", 'signalbox')
    .option('--namespace <namespace>', 'namespace of the pods, for logs', 'default')
    .option('--max-body-bytes <bytes>', 'largest request body taken', positiveWholeNumber, 32 * 1024 * 1024)
    .option(
      '--max-total-body-bytes <bytes>',
      'memory for the bodies of all requests together',
      positiveWholeNumber,
      256 * 1024 * 1024,
    )
    .option('--journal <folder>', 'append every decision there, a line of JSON each, in files that rotate')
    .option(
      '--journal-max-bytes <bytes>',
      'how much may stand there; the oldest goes',
      positiveWholeNumber,
      256 * 1024 * 1024,
    )
    .option('--no-continuation', 'end streams that break with an error event, rather than go on with them elsewhere')
    .option('--canary', 'an endpoint that was out must answer one token before it is used again')
    .option('--drain-timeout <duration>', 'how long requests may go on after SIGTERM, e.g. 30s', duration, 30_000)
    .addOption(
      new Option('--http-engine <name>', "what speaks HTTP: our own, or Node's").choices(httpEngines).default('own'),
    )
    .option('--workers <n>', 'threads that serve, for more than one core', positiveWholeNumber, 1)
    .option('--session-key-file <file>', 'key that signs session tokens, when several gateways share them')
    .addOption(shareOption())
    .addOption(shareGroupOption())
    .option('--cert-path <folder>', 'serve HTTPS: folder with tls.crt and tls.key, reloaded')
    .option('--client-ca <file>', 'ask clients for certificates that this authority has signed; reloaded')
    .option('--endpoint-tls', 'engines speak TLS, as those whose --endpoint is https:// do')
    .option('--endpoint-ca <file>', "who signs engines' certificates, when the system does not know them; reloaded")
    .option('--endpoint-cert-path <folder>', 'folder with tls.crt and tls.key to show to engines; reloaded')
    .option('--admin-token-file <file>', 'what the admin API, the console and metrics ask for')
    .option('--keys-file <file>', 'API keys (their hashes), limits and issuers of tokens; watched')
    .option('--no-keys', 'serve everybody, although --host is not of this machine alone')
    .action(async (flags: Flags) => {
      const options = optionsOf(flags);
      const { startGateway } = await import('../gateway/gateway.ts');
      const sockets = takeHandedDown(process.env);
      // Asked for too early it is no reason to die.
      process.on('SIGUSR2', () => undefined);
      const gateway = await startGateway({ ...options, handedDown: sockets });
      announceServing();
      // What does not validate is in the log, and changes nothing.
      process.on('SIGHUP', () => void gateway.reload().catch(() => undefined));
      // Under a supervisor it is for that to start another.
      const mayBeFollowed = sockets === null || sockets.byPredecessor;
      await Promise.race([untilSignalled(), ...(mayBeFollowed ? [untilFollowed(gateway)] : [])]);
      await gateway.close(flags.drainTimeout);
    });
}

function optionsOf(flags: Flags): GatewayOptions {
  const {
    endpoint,
    endpointDns,
    objectsFile,
    prefillEndpoint,
    connector,
    configFile,
    configText,
    compat,
    shadow,
    verbosity,
    journal,
    journalMaxBytes,
    keys,
    ...rest
  } = flags;
  const kubernetes = kubernetesSource(flags);
  const splits = prefillEndpoint !== undefined;
  const handsOver = connector ?? (splits ? 'nixlv2' : undefined);
  return {
    ...rest,
    isOpen: !keys,
    verbosity,
    ...kvEventsOf(flags),
    ...(endpoint === undefined ? {} : { endpoints: endpoint }),
    ...(endpointDns === undefined ? {} : { endpointsDns: endpointDns }),
    ...(objectsFile === undefined ? {} : { objectsFiles: objectsFile }),
    journalFolderBytes: journalMaxBytes,
    ...(journal === undefined ? {} : { journalFolder: journal }),
    ...(splits ? { prefillEndpoints: prefillEndpoint } : {}),
    ...(handsOver === undefined ? {} : { connector: handsOver }),
    ...(shadow === undefined ? {} : { shadows: shadow }),
    ...(kubernetes === null ? {} : { kubernetes }),
    metricsAuth: flags.metricsEndpointAuth,
    policy: {
      environment: process.env,
      ...(splits ? { fallback: 'disaggregated' as const } : {}),
      ...(configFile === undefined ? {} : { configFile }),
      ...(configText === undefined ? {} : { configText }),
      ...(compat === undefined ? {} : { compat }),
    },
  };
}
