import { Command, InvalidArgumentError } from 'commander';
import { SignalboxError } from '../base/errors.ts';
import { StepLines } from './step-lines.ts';
import { LogReader } from '../stack/log-reader.ts';
import { selectPods } from '../stack/pod-names.ts';
import { expectRunning, logPath, runningState, stackFolder, type PodState } from '../stack/state.ts';

interface Flags {
  namespace: string;
  selector?: string;
  container?: string;
  follow?: true;
  tail?: number;
  prefix?: true;
  steps?: true;
}

export function logsCommand(): Command {
  return new Command('logs')
    .description("Print a container's log.")
    .argument('[pod]', 'NAME or pod/NAME')
    .option('-n, --namespace <name>', 'which stack', 'default')
    .option('-l, --selector <selector>', 'all pods with these labels')
    .option('-c, --container <name>', 'which of its containers; needed when there are several')
    .option('-f, --follow', 'go on as the log grows, until the pod is gone')
    .option('--tail <lines>', 'only the last lines', lineCount)
    .option('--prefix', 'begin each line with the pod and container it comes from')
    .option('--steps', "of the EPP's log, show each request's steps for reading")
    .action(logs);
}

async function logs(pod: string | undefined, flags: Flags): Promise<void> {
  const { namespace, selector } = flags;
  if ((pod === undefined) === (selector === undefined)) {
    throw new SignalboxError('usage', 'say which pod: its name, or a selector with -l');
  }
  const pods = selectPods(expectRunning(namespace), pod, selector);
  if (flags.steps && flags.prefix) {
    throw new SignalboxError('usage', '--prefix stands before lines as they were written; leave it out with --steps');
  }
  if (pods.length === 0) process.stderr.write(`No resources found in ${namespace} namespace.\n`);
  const readers = pods.map((state) => {
    const container = containerOf(state, flags.container);
    const path = logPath(stackFolder(namespace), state.name, container);
    const prefix = flags.prefix ? `[pod/${state.name}/${container}] ` : '';
    const steps = flags.steps ? new StepLines() : null;
    const shown = (text: string): string => steps?.push(text) ?? text;
    return { name: state.name, reader: new LogReader(path, prefix, flags.tail), shown, steps };
  });
  for (const { reader, shown } of readers) process.stdout.write(shown(reader.readAll()));
  if (!flags.follow) {
    for (const { steps } of readers) process.stdout.write(steps?.end() ?? '');
    return;
  }
  const isThere = (name: string): boolean =>
    runningState(namespace)?.pods.some((state) => state.name === name) ?? false;
  await Promise.all(
    readers.map(async ({ name, reader, shown }) => {
      for await (const text of reader.follow(() => isThere(name))) process.stdout.write(shown(text));
    }),
  );
}

function containerOf({ name, containers }: PodState, wanted: string | undefined): string {
  const names = containers.map((container) => container.name);
  if (wanted !== undefined && names.includes(wanted)) return wanted;
  const [only, ...others] = names;
  if (wanted === undefined && only !== undefined && others.length === 0) return only;
  if (names.length === 0) throw new SignalboxError('environment', `pod ${name} is still being created`);
  const choice = `its containers are ${names.join(', ')}`;
  throw new SignalboxError(
    'usage',
    wanted === undefined
      ? `choose a container of pod ${name} with -c: ${choice}`
      : `pod ${name} has no container ${wanted}: ${choice}`,
  );
}

function lineCount(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a whole number of lines');
}
