import { Command, CommanderError } from 'commander';
import { messageOf, SignalboxError } from '../base/errors.ts';
import { productVersion } from '../base/version.ts';
import { endWithParent } from '../stack/parent-watch.ts';

interface Entry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

/** Each command's module is imported only when that command runs, which keeps every start short. */
const entries: readonly Entry[] = [
  {
    name: 'up',
    summary: 'bring up the system that a values file describes, on this machine',
    load: async () => (await import('./up.ts')).upCommand(),
  },
  { name: 'down', summary: 'end it', load: async () => (await import('./down.ts')).downCommand() },
  { name: 'get', summary: 'show what runs (get pods)', load: async () => (await import('./get.ts')).getCommand() },
  { name: 'logs', summary: "print a pod's log", load: async () => (await import('./logs.ts')).logsCommand() },
  {
    name: 'scale',
    summary: 'set how many decode or prefill pods run',
    load: async () => (await import('./scale.ts')).scaleCommand(),
  },
  {
    name: 'delete',
    summary: 'end a pod; another one takes its place (delete pod)',
    load: async () => (await import('./delete.ts')).deleteCommand(),
  },
  {
    name: 'load',
    summary: 'send traffic and report how it was served',
    load: async () => (await import('./load.ts')).loadCommand(),
  },
  {
    name: 'explain',
    summary: 'show why a request went where it went',
    load: async () => (await import('./explain.ts')).explainCommand(),
  },
  {
    name: 'top',
    summary: 'watch endpoints and decisions live in the terminal',
    load: async () => (await import('./top.ts')).topCommand(),
  },
  {
    name: 'doctor',
    summary: 'check engines end to end: caching, KV events, tokens, predictions',
    load: async () => (await import('./doctor.ts')).doctorCommand(),
  },
  {
    name: 'gateway',
    summary: 'run the OpenAI-compatible gateway with the scheduler in it',
    load: async () => (await import('./gateway.ts')).gatewayCommand(),
  },
  {
    name: 'keys',
    summary: 'make API keys for the gateway, and check a file of them',
    load: async () => (await import('./keys.ts')).keysCommand(),
  },
  {
    name: 'epp',
    summary: 'run the endpoint picker behind Envoy or any Gateway API gateway',
    load: async () => (await import('./epp.ts')).eppCommand(),
  },
  {
    name: 'envoy-config',
    summary: 'print an Envoy configuration for the endpoint picker',
    load: async () => (await import('./envoy-config.ts')).envoyConfigCommand(),
  },
  {
    name: 'install',
    summary: 'install on Kubernetes what a values file describes',
    load: async () => (await import('./install.ts')).installCommand(),
  },
  {
    name: 'uninstall',
    summary: 'remove it again',
    load: async () => (await import('./install.ts')).uninstallCommand(),
  },
  {
    name: 'envoy',
    summary: 'run an Envoy for it, fetched on first use',
    load: async () => (await import('./envoy.ts')).envoyCommand(),
  },
  {
    name: 'controller',
    summary: 'make and keep what the ModelServices of a Kubernetes namespace ask for',
    load: async () => (await import('./controller.ts')).controllerCommand(),
  },
  {
    name: 'sidecar',
    summary: 'run the routing proxy that stands in front of a decode engine',
    load: async () => (await import('./sidecar.ts')).sidecarCommand(),
  },
  {
    name: 'engine',
    summary: 'run a simulated vLLM engine',
    load: async () => (await import('./engine.ts')).engineCommand(),
  },
  {
    name: 'replay',
    summary: 'compare policies on recorded traffic',
    load: async () => (await import('./replay.ts')).replayCommand(),
  },
  {
    name: 'check',
    summary: 'say what is wrong with a configuration, and what it would change',
    load: async () => (await import('./check.ts')).checkCommand(),
  },
  {
    name: 'calibrate',
    summary: 'measure a real engine and write a hardware profile of it',
    load: async () => (await import('./calibrate.ts')).calibrateCommand(),
  },
];

/** Runs one command line and sets the exit code: 0 done, 1 failed, 2 wrong usage. The reason is stderr's first line. */
export async function run(args: readonly string[]): Promise<void> {
  endWithParent();
  // A reader that leaves early (`… | head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  try {
    await (await program(args)).parseAsync(args, { from: 'user' });
  } catch (error) {
    fail(error);
  }
}

async function program(args: readonly string[]): Promise<Command> {
  const root = new Command('signalbox')
    .description('An inference scheduler and gateway for fleets of LLM engines that shows why each request went where.')
    .version(productVersion());
  const wanted = args.find((arg) => !arg.startsWith('-'));
  for (const entry of entries) {
    // `help up` needs up's own options as much as `up --help` does.
    if (entry.name === wanted || (wanted === 'help' && args.includes(entry.name))) {
      root.addCommand((await entry.load()).summary(entry.summary));
    } else {
      root.command(entry.name).summary(entry.summary).description(entry.summary);
    }
  }
  throwInsteadOfExiting(root);
  return root;
}

function throwInsteadOfExiting(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) throwInsteadOfExiting(child);
}

function fail(error: unknown): void {
  if (error instanceof CommanderError) {
    // Commander has written its message; help and version that were asked for end with 0.
    process.exitCode = error.exitCode === 0 ? 0 : 2;
    return;
  }
  process.stderr.write(`signalbox: ${messageOf(error)}\n`);
  process.exitCode = error instanceof SignalboxError && error.code === 'usage' ? 2 : 1;
  if (process.env['SIGNALBOX_DEBUG'] && error instanceof Error) process.stderr.write(`${error.stack}\n`);
}

/** Every command with its options, in the order of the help. */
export async function commands(): Promise<Command[]> {
  return Promise.all(entries.map(({ load }) => load()));
}
