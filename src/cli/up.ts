import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { SignalboxError } from '../base/errors.ts';
import { announceReady, isDetached, startDetached } from '../stack/detach.ts';
import { refuseStrangers } from '../keys/open-door.ts';
import { readUserFile } from '../stack/package-root.ts';
import type { GatewayKind } from '../stack/components.ts';
import { firstModel, startStack, type Stack, type StackOptions } from '../stack/stack.ts';
import { runningState } from '../stack/state.ts';
import { parseValues, type Values } from '../stack/values.ts';
import { portNumber } from './arguments.ts';
import { print } from './print.ts';
import { printComparison } from './shadow-lines.ts';

interface Flags {
  file: string;
  namespace: string;
  host: string;
  port: number;
  adminPort: number;
  endpoint: string[];
  detach?: true;
  engineProfile?: string;
  gateway: GatewayKind;
  keysFile?: string;
  keys: boolean;
  timeScale?: number;
  verbose?: true;
}

/** After so long without a word, say what is being waited for. */
const patienceMs = 3000;

export function upCommand(): Command {
  return new Command('up')
    .description('Bring up the system that a values file describes, as processes of this machine.')
    .option('-f, --file <file>', 'values file', 'examples/base/prefix-and-load-aware.yaml')
    .option('-n, --namespace <name>', 'stacks in different namespaces live side by side', 'default')
    .option('--host <address>', 'address the gateway listens on', '127.0.0.1')
    .option('--keys-file <file>', 'API keys that the gateway asks for ("signalbox keys new" makes them)')
    .option('--no-keys', 'serve everybody, although --host is not of this machine alone')
    .option('--port <port>', "the gateway's port (0: any)", portNumber, 8080)
    .option('--admin-port <port>', 'port of the admin API, on 127.0.0.1 (0: any)', portNumber, 8081)
    .option('--endpoint <url...>', 'engines that run already, in place of simulated ones', [])
    .addOption(
      new Option('--gateway <kind>', 'what stands in front: our gateway, or an Envoy with the EPP beside it')
        .choices(['signalbox', 'envoy'])
        .default('signalbox'),
    )
    .option('--detach', 'return when a request would be answered; "signalbox down" ends it')
    .option('--engine-profile <name>', 'hardware that the simulated engines behave like')
    .option('--time-scale <factor>', 'simulated engines run this many times faster', positiveNumber)
    .option('-v, --verbose', 'say which values are not used here')
    .action(up);
}

async function up(flags: Flags): Promise<void> {
  refuseStrangers(flags.host, flags.keysFile, !flags.keys);
  if (flags.keysFile !== undefined && flags.gateway !== 'signalbox') {
    throw new SignalboxError('usage', '--keys-file needs --gateway signalbox; an EPP takes it itself');
  }
  const { path, text } = readUserFile(flags.file);
  const { values, notUsed } = parseValues(text, flags.file);
  if (!isDetached()) {
    print(heading(flags, values));
    if (flags.verbose && notUsed.length > 0) print(`  not used on this machine: ${notUsed.join(', ')}`);
  }
  const patience = setTimeout(() => print(waiting(flags)), patienceMs);
  try {
    await (flags.detach ? upDetached(flags, path) : upHere(flags, values, () => clearTimeout(patience)));
  } finally {
    clearTimeout(patience);
  }
}

async function upHere(flags: Flags, values: Values, onReady: () => void): Promise<void> {
  const options: StackOptions = {
    namespace: flags.namespace,
    values,
    host: flags.host,
    port: flags.port,
    adminPort: flags.adminPort,
    endpoints: flags.endpoint,
    gateway: flags.gateway,
    keysFile: flags.keysFile === undefined ? null : resolve(flags.keysFile),
    engine: {
      ...(flags.engineProfile === undefined ? {} : { profile: flags.engineProfile }),
      ...(flags.timeScale === undefined ? {} : { timeScale: flags.timeScale }),
    },
  };
  let wasStopped = false;
  const stack = await startStack(options, (started) => {
    stopOnSignals(started, () => (wasStopped = true));
  });
  onReady();
  if (wasStopped) return stack.ended;
  if (isDetached()) announceReady();
  else await printNextSteps(flags, 'Ctrl-C');
  await stack.ended;
}

async function upDetached(flags: Flags, path: string): Promise<void> {
  const { namespace, host, port, adminPort, endpoint, engineProfile, timeScale, gateway, keysFile, keys } = flags;
  const end = await startDetached(
    [
      'up',
      ...['-f', path, '-n', namespace, '--host', host, '--port', String(port), '--admin-port', String(adminPort)],
      ...['--gateway', gateway],
      ...(keysFile === undefined ? [] : ['--keys-file', resolve(keysFile)]),
      ...(keys ? [] : ['--no-keys']),
      ...(endpoint.length > 0 ? ['--endpoint', ...endpoint] : []),
      ...(engineProfile === undefined ? [] : ['--engine-profile', engineProfile]),
      ...(timeScale === undefined ? [] : ['--time-scale', String(timeScale)]),
    ],
    namespace,
  );
  if (end === null) return printNextSteps(flags, `${self()} down`);
  process.stderr.write(end.stderr);
  process.exitCode = end.exitCode;
}

/** The first signal ends the stack in good order, the second at once. A detached stack outlives its terminal. */
function stopOnSignals(stack: Stack, onFirst: () => void): void {
  let isSecond = false;
  const stop = (): void => {
    if (isSecond) {
      stack.kill();
      process.exit(130);
    }
    isSecond = true;
    onFirst();
    void printComparison(stack.adminUrl).then(() => stack.stop());
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  if (isDetached()) {
    process.once('disconnect', stop);
    // Listening must not keep a stack alive that could not start.
    process.channel?.unref();
  }
}

function heading(flags: Flags, values: Values): string {
  const { model, decode, prefill } = values.sampleApplication;
  const engines =
    flags.endpoint.length > 0
      ? `engines at ${flags.endpoint.join(', ')}`
      : `${model.modelName} on ${counted(decode.replicas, 'decode')} and ${counted(prefill.replicas, 'prefill')} pods with simulated engines`;
  return `Starting ${flags.file} in namespace ${flags.namespace}\n  ${engines}`;
}

const counted = (count: number, role: string): string => `${count === 0 ? 'no' : count} ${role}`;

function waiting({ endpoint }: Flags): string {
  return `  still waiting until ${endpoint.length > 0 ? endpoint.join(' or ') : 'an engine'} lists a model that can be asked`;
}

async function printNextSteps(flags: Flags, toEnd: string): Promise<void> {
  const state = runningState(flags.namespace);
  if (state === null) throw new SignalboxError('environment', 'the stack ended as soon as it was ready');
  const { gatewayUrl, adminUrl } = state;
  const authorization = flags.keysFile === undefined ? '' : ` -H 'Authorization: Bearer YOUR-KEY'`;
  const namespace = flags.namespace === 'default' ? '' : ` -n ${flags.namespace}`;
  const body = {
    model: await firstModel(flags.gateway === 'signalbox' ? adminUrl : gatewayUrl),
    prompt: 'What does a signal box do?',
    max_tokens: 50,
  };
  print(`  gateway ${gatewayUrl}   admin ${adminUrl}
ready

Try, in another terminal:
  curl ${gatewayUrl}/v1/completions -H 'Content-Type: application/json'${authorization} \\
    -d '${JSON.stringify(body)}'
  ${self()} explain${namespace}     # why it went where it went
  ${adminUrl}/     # all of it in a browser: the console
  ${self()} get pods${namespace}
  ${self()} load${namespace}        # the same under traffic
  ${self()} top${namespace}         # watch it
${toEnd}${toEnd === 'Ctrl-C' ? '' : namespace} ends it.`);
}

/** How the command was called, for messages that show a command. */
function self(): string {
  if (process.env['npm_command'] === 'exec') return 'npx signalbox';
  return existsSync('./signalbox') ? './signalbox' : 'signalbox';
}

function positiveNumber(text: string): number {
  const number = Number(text);
  if (number > 0 && Number.isFinite(number)) return number;
  throw new InvalidArgumentError('expected a number above 0');
}
