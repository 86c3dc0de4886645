import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { freePort, eventually, runCommand, temporaryFolder, repository } from '../support/command.ts';
import { complete, startStack, type TestStack } from '../support/stack.ts';
import { identify } from '../../src/stack/process-identity.ts';
import type { podReport } from '../../src/stack/pod-report.ts';

type Pod = ReturnType<typeof podReport>;

const main = [process.execPath, '--disable-warning=ExperimentalWarning', join(repository, 'src/cli/main.ts')] as const;
const fast = ['--time-scale', '20'];
const model = 'meta-llama/Llama-3.2-3B-Instruct';
const decodeOnly = ['-l', 'llm-d.ai/role=decode'];

async function pods(stack: TestStack, ...flags: string[]): Promise<Pod[]> {
  const { status, stdout, stderr } = await stack.signalbox('get', 'pods', '--json', ...flags);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as Pod[];
}

const allReady = async (stack: TestStack, count: number): Promise<Pod[] | null> => {
  const decode = await pods(stack, ...decodeOnly);
  return decode.length === count && decode.every(({ ready }) => ready === '2/2') ? decode : null;
};

/** A process that ended but was not yet collected by its parent counts as ended. */
const isAlive = (pid: number): boolean => identify(pid) !== null;

const pidsOf = (list: readonly Pod[]): number[] => [
  ...new Set(list.flatMap(({ containers }) => containers.flatMap(({ pid }) => pid ?? []))),
];

const ask = async (stack: TestStack): Promise<string> => {
  const { status, headers } = await complete(stack.url, model, 'What does a signal box do?', 3);
  assert.equal(status, 200);
  return headers.get('x-signalbox-endpoint')!;
};

test('a stack shows its pods, survives the death of an engine, scales, replaces and ends', async (t) => {
  const stack = await startStack(t, main, fast);
  assert.match(stack.up.stdout, /^ready$/m);

  const table = (await stack.signalbox('get', 'pods')).stdout.trimEnd().split('\n');
  assert.match(table[0]!, /^NAME +READY +STATUS +RESTARTS +AGE$/);
  const rows = table.slice(1).map((row) =>
    row
      .replace(/-[a-z0-9]{10}-[a-z0-9]{5} /, ' ')
      .split(/ +/)
      .slice(0, 4),
  );
  assert.deepEqual(rows, [
    ['llm-d-inference-gateway', '1/1', 'Running', '0'],
    ['llm-d-modelservice', '1/1', 'Running', '0'],
    ['meta-llama-llama-3-2-3b-instruct-epp', '1/1', 'Running', '0'],
    ['meta-llama-llama-3-2-3b-instruct-decode', '2/2', 'Running', '0'],
    ['meta-llama-llama-3-2-3b-instruct-decode', '2/2', 'Running', '0'],
  ]);
  const before = await pods(stack);
  assert.equal(before[2]!.hostedBy, before[0]!.name);
  const [first, second] = await pods(stack, ...decodeOnly);
  assert.ok(first && second);

  await t.test('an engine that is killed is started again; requests are answered meanwhile', async () => {
    const engine = first.containers.find(({ name }) => name === 'vllm')!;
    process.kill(engine.pid!, 'SIGKILL');
    for (let count = 0; count < 20; count++) await ask(stack);
    const after = (await eventually('both engines ready again', 10_000, () => allReady(stack, 2)))[0]!;
    assert.equal(after.name, first.name);
    assert.equal(after.restarts, 1);
    assert.notEqual(after.containers[1]!.pid, engine.pid);
  });

  await t.test('a gateway that is killed is started again', async () => {
    process.kill(before[0]!.containers[0]!.pid!, 'SIGKILL');
    const restarted = await eventually('the gateway answers again', 10_000, () => ask(stack).catch(() => null));
    assert.ok([first.name, second.name].includes(restarted));
  });

  await t.test('a gateway that is deleted is followed by another, and no request is lost', async () => {
    let over = false;
    const client = async (): Promise<void> => {
      while (!over) await ask(stack);
    };
    const clients = [client(), client(), client(), client()];
    const [gateway] = before;
    const { status, stderr } = await stack.signalbox('delete', 'pod', gateway!.name).finally(() => (over = true));
    assert.equal(status, 0, stderr);
    await Promise.all(clients);
    const after = await pods(stack);
    assert.equal(after.length, before.length);
    assert.ok(!after.some(({ name }) => name === gateway!.name));
    assert.ok(after.every(({ status: each }) => each === 'Running'));
  });

  await t.test('logs: by name and selector, per container, the EPP saying where it lives', async () => {
    const engine = await stack.signalbox('logs', `pod/${second.name}`, '-c', 'vllm');
    assert.match(engine.stdout, /startup complete/);
    assert.equal(
      (await stack.signalbox('logs', second.name, '-c', 'vllm', '--tail', '1')).stdout.match(/\n/g)?.length,
      1,
    );
    const undecided = await stack.signalbox('logs', second.name);
    assert.equal(undecided.status, 2);
    assert.match(undecided.stderr, /-c: its containers are routing-proxy, vllm/);
    const epp = await eventually("the EPP's log shows a decision", 5000, async () => {
      const { stdout } = await stack.signalbox('logs', '-l', 'llm-d.ai/epp');
      return stdout.includes('Running filter plugin') ? stdout : null;
    });
    const [gateway] = await pods(stack, '-l', 'app=llm-d-inference-gateway');
    assert.match(epp, new RegExp(`runs in the process of pod ${gateway!.name}`));
    assert.equal((await stack.signalbox('logs', 'nobody')).status, 1);
  });

  await t.test('scale up and down', async () => {
    assert.equal((await stack.signalbox('scale', 'decode', '3')).status, 0);
    assert.ok(await allReady(stack, 3));
    const leaving = (await pods(stack, ...decodeOnly))[2]!;
    assert.equal((await stack.signalbox('scale', 'decode', '1')).status, 0);
    assert.equal((await pods(stack, ...decodeOnly)).length, 1);
    assert.deepEqual(pidsOf([leaving]).filter(isAlive), []);
    await ask(stack);
    assert.equal((await stack.signalbox('scale', 'decode', 'many')).status, 2);
  });

  await t.test('a deleted pod is replaced by one with another name', async () => {
    const [only] = await pods(stack, ...decodeOnly);
    assert.equal((await stack.signalbox('delete', 'pod', only!.name)).status, 0);
    const [next] = await eventually('its replacement is ready', 10_000, () => allReady(stack, 1));
    assert.notEqual(next!.name, only!.name);
    assert.equal(await eventually('it serves', 10_000, () => ask(stack).catch(() => null)), next!.name);
    const epp = await stack.signalbox('delete', 'pod', (await pods(stack))[2]!.name);
    assert.equal(epp.status, 2);
  });

  await t.test('down leaves no process and no state', async () => {
    const pids = pidsOf(await pods(stack));
    assert.ok(pids.length >= 4);
    assert.equal((await stack.signalbox('down')).status, 0);
    assert.deepEqual(pids.filter(isAlive), []);
    assert.equal((await stack.signalbox('get', 'pods')).status, 1);
    assert.equal((await stack.signalbox('down')).status, 0);
  });
});

test('two stacks live side by side; one namespace and one port are taken once', async (t) => {
  const stack = await startStack(t, main, fast);
  const [port, adminPort] = [await freePort(), await freePort()];
  const ports = ['--port', `${port}`, '--admin-port', `${adminPort}`];

  const again = await stack.signalbox('up', ...ports);
  assert.deepEqual(
    [again.status, again.stderr.split(' (')[0]],
    [1, 'signalbox: a stack already runs in namespace default'],
  );

  t.after(() => stack.signalbox('down', '-n', 'other'));
  const taken = await stack.signalbox(
    'up',
    '-n',
    'other',
    '--port',
    new URL(stack.url).port,
    '--admin-port',
    `${adminPort}`,
  );
  assert.equal(taken.status, 1);
  assert.match(taken.stderr, /^signalbox: port \d+ on 127.0.0.1 is taken .*--port/);

  const other = await stack.signalbox('up', '-n', 'other', '--detach', ...ports, ...fast);
  assert.equal(other.status, 0, other.stderr);
  const names = new Set((await pods(stack)).map(({ name }) => name));
  assert.deepEqual(
    (await pods(stack, '-n', 'other')).filter(({ name }) => names.has(name)),
    [],
  );

  assert.equal((await stack.signalbox('down', '-n', 'other')).status, 0);
  await ask(stack);
});

test('what keeps a stack from starting is said on the first line, and nothing stays behind', async (t) => {
  const folder = temporaryFolder(t);
  const run = (...args: string[]) =>
    runCommand(main[0], [...main.slice(1), ...args], { env: { SIGNALBOX_HOME: folder } });
  const free = ['--port', '0', '--admin-port', '0'];
  const values = (text: string): string => {
    const path = join(folder, 'my.yaml');
    writeFileSync(path, text);
    return path;
  };
  const wrong = await run('up', '-f', values('sampleApplication:\n  decod: {}\n'), ...free);
  assert.deepEqual(
    [wrong.status, wrong.stderr.replace(folder, '')],
    [1, 'signalbox: /my.yaml:2:3: unknown key "decod" in sampleApplication; did you mean "decode"?\n'],
  );
  assert.equal((await run('up', '-f', 'nowhere.yaml')).status, 2);

  for (const detach of [[], ['--detach']]) {
    const file = values('sampleApplication: {decode: {extraArgs: [--no-such-flag]}, prefill: {replicas: 0}}');
    const failed = await run('up', '-f', file, ...free, ...detach);
    assert.equal(failed.status, 1);
    assert.match(failed.stderr, /^signalbox: \S+-decode-\S+\/vllm does not start; its last lines:\n.*no-such-flag/);
    assert.equal((await run('get', 'pods')).status, 1);
    assert.equal(existsSync(join(folder, 'default', 'state.json')), false);
  }
});

test('a stack whose supervisor is killed ends, and the next up starts afresh', async (t) => {
  const stack = await startStack(t, main, fast);
  const all = await pods(stack);
  process.kill(all[1]!.containers[0]!.pid!, 'SIGKILL');
  await eventually('every process has ended', 10_000, async () => (pidsOf(all).some(isAlive) ? null : true));
  assert.equal((await stack.signalbox('get', 'pods')).status, 1);
  const port = new URL(stack.url).port;
  const again = await stack.signalbox('up', '--detach', '--port', port, '--admin-port', '0', ...fast);
  assert.equal(again.status, 0, again.stderr);
});

test('a detached stack holds none of its caller’s files', { skip: skipWithoutProc() }, async (t) => {
  const stack = await startStack(t, main, fast);
  for (const pid of pidsOf(await pods(stack))) {
    // Node itself reads certificates for a moment; what is held is held.
    await eventually(`${pid} holds none of them`, 10_000, async () => {
      const files = readdirSync(`/proc/${pid}/fd`).map((descriptor) => linkOf(`/proc/${pid}/fd/${descriptor}`));
      // Its own sockets and pipes have no path; of files it may hold its logs, wherever its home is.
      const isOwn = (file: string): boolean =>
        !file.startsWith('/') || file === '/dev/null' || file.includes('signalbox-test-');
      return files.every(isOwn) || null;
    });
  }
});

function skipWithoutProc(): string | false {
  return existsSync('/proc/self/fd') ? false : 'needs /proc';
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

test('a stack whose folder is deleted ends, since nobody could end it any more', async (t) => {
  const stack = await startStack(t, main, fast);
  const all = await pods(stack);
  rmSync(stack.home, { recursive: true });
  await eventually('every process has ended', 15_000, async () => (pidsOf(all).some(isAlive) ? null : true));
});

test('Ctrl-C ends a stack in the foreground, at any time', async (t) => {
  for (const waitFor of ['Starting', 'ready']) {
    await endsOnInterrupt(t, waitFor);
  }
});

async function endsOnInterrupt(t: TestContext, waitFor: string): Promise<void> {
  const folder = temporaryFolder(t);
  const child = spawn(main[0], [...main.slice(1), 'up', '--port', '0', '--admin-port', '0', ...fast], {
    env: { ...process.env, SIGNALBOX_HOME: folder },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  for await (const text of child.stdout.setEncoding('utf8') as AsyncIterable<string>) {
    if (new RegExp(`^${waitFor}`, 'm').test(text)) break;
  }
  child.kill('SIGINT');
  await ended;
  assert.equal(existsSync(join(folder, 'default', 'state.json')), false);
}
