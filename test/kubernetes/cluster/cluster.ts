import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { repository, runCommand, type CommandResult } from '../../support/command.ts';
import { buildImages } from './images.ts';

export interface Cluster {
  /** Its kubeconfig; a user's commands take it as KUBECONFIG. */
  readonly kubeconfig: string;
  /** Where NodePorts answer. */
  readonly nodeAddress: string;
  /** A PATH that has kubectl and helm. */
  readonly path: string;
  kubectl(...commandArguments: string[]): Promise<CommandResult>;
  restartApiServer(): Promise<void>;
  stop(): Promise<void>;
}

/** A real one-node Kubernetes on this machine, with the product's images in it. Its own output goes to stderr. */
export async function startCluster(): Promise<Cluster> {
  const say = (text: string): void => void process.stderr.write(`one-node Kubernetes: ${text}\n`);
  const bin = await installed();
  const folder = mkdtempSync(join(tmpdir(), 'signalbox-cluster-'));
  say(`starting, with its logs in ${folder}/log`);
  const node = spawn('sh', [join(import.meta.dirname, 'node.sh'), folder, bin], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(node, 'exit');
  const images = buildImages(folder);
  images.catch(() => undefined);
  const lines = createInterface({ input: node.stdout })[Symbol.asyncIterator]();
  const answer = async (expected: RegExp): Promise<string> => {
    const { value, done } = await lines.next();
    const match = done === true ? null : expected.exec(value);
    if (match === null) throw new Error(`the one-node Kubernetes says ${value ?? 'nothing more'}; see ${folder}/log`);
    return match[1] ?? '';
  };
  const stop = async (): Promise<void> => {
    node.stdin.end();
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  const kubeconfig = join(folder, 'kubeconfig');
  const path = `${bin}:${process.env['PATH']}`;
  try {
    const nodeAddress = await answer(/^ready (.*)$/);
    for (const image of await images) await importImage(node.pid!, image);
    say(`ready: KUBECONFIG=${kubeconfig}`);
    return {
      kubeconfig,
      nodeAddress,
      path,
      kubectl: (...commandArguments) =>
        runCommand(join(bin, 'kubectl'), commandArguments, { env: { KUBECONFIG: kubeconfig, PATH: path } }),
      async restartApiServer() {
        node.stdin.write('restart-apiserver\n');
        await answer(/^done (restart-apiserver)$/);
      },
      stop,
    };
  } catch (error) {
    await images.catch(() => undefined);
    node.stdin.end();
    await ended;
    throw error;
  }
}

async function installed(): Promise<string> {
  const child = spawn('sh', [join(import.meta.dirname, 'install.sh')], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: repository,
  });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text));
  const [status] = (await once(child, 'close')) as [number | null];
  if (status !== 0) throw new Error('the one-node Kubernetes could not be installed');
  return printed.trim();
}

async function importImage(node: number, file: string): Promise<void> {
  const inside = readFileSync(`/proc/${node}/task/${node}/children`, 'utf8').trim();
  const { status, stderr } = await runCommand('nsenter', [
    ...['--target', inside, '--mount', '--pid', '--net'],
    ...['ctr', '-n', 'k8s.io', 'images', 'import', file],
  ]);
  if (status !== 0) throw new Error(`${file}: ${stderr}`);
}

if (import.meta.main) {
  const cluster = await startCluster();
  console.log(cluster.kubeconfig);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void cluster.stop());
}
