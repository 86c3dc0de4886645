import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { SharingJson } from '../../src/admin/json.ts';
import { eventually, freePort, repository, runCommand, temporaryFolder } from '../support/command.ts';

export type Shared = Extract<SharingJson, { shares: true }>;

/** A real Valkey or Redis on a port of its own, with nothing kept on disk. */
export async function startRedis(t: TestContext, port?: number, host = '127.0.0.1') {
  const installed = await runCommand('sh', [join(repository, 'test/replicas/install.sh')]);
  if (installed.status !== 0) throw new Error(installed.stderr);
  const at = port ?? (await freePort());
  const options = ['--port', String(at), '--bind', host, '--protected-mode', 'no', '--save', ''];
  const child = spawn(installed.stdout.trim(), [...options, '--dir', temporaryFolder(t)], { stdio: 'ignore' });
  t.after(() => end(child));
  await eventually('redis answers', 10_000, () => reached(host, at));
  return { port: at, url: `redis://${host}:${at}`, end: () => end(child) };
}

function reached(host: string, port: number): Promise<true | null> {
  return new Promise((resolve) => {
    const socket = connect(port, host, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(null));
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

export interface Replica {
  readonly url: string;
  readonly adminUrl: string;
  readonly log: () => string;
  /** At once, as when its machine is lost. */
  kill(): Promise<void>;
  sharing(): Promise<Shared>;
}

/** Where a replica runs: an address of its machine, and what runs a command there. */
export interface Place {
  readonly host: string;
  readonly command: readonly string[];
}

const here: Place = { host: '127.0.0.1', command: [] };

/** A gateway as a process of its own, ready for requests. */
export async function startReplica(
  t: TestContext,
  name: string,
  endpoints: readonly string[],
  share: string | null,
  more: readonly string[] = [],
  { host, command }: Place = here,
): Promise<Replica> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const [program = '', ...words] = [...command, join(repository, 'signalbox')];
  const child = spawn(
    program,
    [
      ...[...words, 'gateway', '--port', String(port), '--admin-port', String(adminPort), '--name', name],
      ...(host === here.host ? [] : ['--host', host, '--admin-host', host, '--no-keys']),
      ...['--endpoint', ...endpoints, ...(share === null ? [] : ['--share', share]), ...more],
    ],
    { cwd: repository, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (log += text));
  t.after(() => end(child));
  const [url, adminUrl] = [`http://${host}:${port}`, `http://${host}:${adminPort}`];
  const get = async <Json>(path: string): Promise<Json> => (await (await fetch(adminUrl + path)).json()) as Json;
  await eventually(`${name} has its endpoints (${log})`, 60_000, async () => {
    const listed = await get<{ ready: boolean }[]>('/api/endpoints').catch(() => []);
    return listed.length === endpoints.length && listed.every(({ ready }) => ready) ? true : null;
  });
  return { url, adminUrl, log: () => log, kill: () => end(child), sharing: () => get<Shared>('/api/sharing') };
}

/** All of them know all the others. */
export async function together(replicas: readonly Replica[]): Promise<void> {
  await eventually('replicas know each other', 30_000, async () => {
    const all = await Promise.all(replicas.map((replica) => replica.sharing()));
    return all.every(({ up, peers }) => up && peers.length === replicas.length - 1) ? true : null;
  });
}

/** A way to a port that can be cut, so that nothing passes and nobody is told, and mended again. */
export async function startCuttable(t: TestContext, target: number) {
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((inbound) => {
    const outbound = connect(target, '127.0.0.1');
    for (const [from, to] of [
      [inbound, outbound],
      [outbound, inbound],
    ] as const) {
      sockets.add(from);
      from.pipe(to);
      // What is written while it is cut arrives when it is mended, as TCP has it.
      if (isCut) from.pause();
      from.on('error', () => undefined);
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const set = (cut: boolean): void => {
    isCut = cut;
    for (const socket of sockets) {
      if (cut) socket.pause();
      else socket.resume();
    }
  };
  const { port } = server.address() as AddressInfo;
  return { url: `redis://127.0.0.1:${port}`, cut: () => set(true), mend: () => set(false) };
}
