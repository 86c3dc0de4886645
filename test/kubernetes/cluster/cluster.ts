import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { eventually, repository, runCommand, type CommandResult } from '../../support/command.ts';
import { buildImages, productImage } from './images.ts';

export interface Cluster {
  /** Its kubeconfig; a user's commands take it as KUBECONFIG. */
  readonly kubeconfig: string;
  /** Where NodePorts answer. */
  readonly nodeAddress: string;
  /** A PATH that has kubectl and helm. */
  readonly path: string;
  /** The product's image, as a tar. */
  readonly image: string;
  kubectl(...commandArguments: string[]): Promise<CommandResult>;
  restartApiServer(): Promise<void>;
  stop(): Promise<void>;
}

const say = (text: string): void => void process.stderr.write(`one-node Kubernetes: ${text}\n`);

/**
 * A real one-node Kubernetes on this machine, with the product's images in it. Its own output goes to stderr. Where
 * SIGNALBOX_TEST_CLUSTER names the folder of one that runs (`node test/kubernetes/cluster/cluster.ts`), that is taken.
 */
export async function startCluster(): Promise<Cluster> {
  const bin = await installed();
  const running = process.env['SIGNALBOX_TEST_CLUSTER'];
  if (running !== undefined) return attach(running, bin);
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
    const handle: Handle = { process: process.pid, node: node.pid!, nodeAddress };
    writeFileSync(join(folder, 'handle.json'), JSON.stringify(handle));
    say(`ready: KUBECONFIG=${kubeconfig}`);
    return {
      kubeconfig,
      nodeAddress,
      path,
      image: productImage(folder),
      kubectl: kubectlOf(kubeconfig, path),
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

/** What others need to know of a cluster that runs. */
interface Handle {
  readonly process: number;
  readonly node: number;
  readonly nodeAddress: string;
}

async function attach(folder: string, bin: string): Promise<Cluster> {
  const handle = JSON.parse(readFileSync(join(folder, 'handle.json'), 'utf8')) as Handle;
  const kubeconfig = join(folder, 'kubeconfig');
  const path = `${bin}:${process.env['PATH']}`;
  for (const image of await buildImages(folder)) await importImage(handle.node, image);
  const kubectl = kubectlOf(kubeconfig, path);
  return {
    kubeconfig,
    nodeAddress: handle.nodeAddress,
    path,
    image: productImage(folder),
    kubectl,
    async restartApiServer() {
      process.kill(handle.process, 'SIGUSR1');
      await eventually('the API server is gone', 10_000, async () =>
        (await kubectl('get', '--raw', '/readyz')).status === 0 ? null : true,
      );
      await eventually('the API server is back', 60_000, async () =>
        (await kubectl('get', '--raw', '/readyz')).status === 0 ? true : null,
      );
    },
    stop: () => Promise.resolve(),
  };
}

function kubectlOf(kubeconfig: string, path: string): Cluster['kubectl'] {
  return (...commandArguments) =>
    runCommand('kubectl', commandArguments, { env: { KUBECONFIG: kubeconfig, PATH: path } });
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
  process.on('SIGUSR1', () => void cluster.restartApiServer());
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void cluster.stop());
}
