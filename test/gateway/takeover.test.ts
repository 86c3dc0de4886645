import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { handDown } from '../../src/base/handed-down.ts';
import { holdSocket } from '../../src/stack/held-socket.ts';
import { identify } from '../../src/stack/process-identity.ts';
import { ask, type Question } from '../chaos/client.ts';
import { answers, Command } from '../chaos/process.ts';
import { freePort, repository, temporaryFolder } from '../support/command.ts';
import { startEngine, until } from '../support/fleet-under-test.ts';

const model = 'chaos/model';
const main = ['--disable-warning=ExperimentalWarning', join(repository, 'src/cli/main.ts')];

/** One request after another on one connection for as long as that is kept, half of them streams. */
async function keptAlive(url: string, goesOn: () => boolean): Promise<string[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const mistakes: string[] = [];
  for (let stream = false; goesOn(); stream = !stream) {
    const body = JSON.stringify({ model, prompt: 'Which way?', max_tokens: 20, stream });
    const headers = { 'content-type': 'application/json', 'content-length': body.length };
    const request = httpRequest(`${url}/v1/completions`, { method: 'POST', agent, headers });
    try {
      const answered = once(request, 'response') as Promise<[NodeJS.ReadableStream & { statusCode: number }]>;
      request.end(body);
      const [response] = await answered;
      let text = '';
      for await (const chunk of response) text += String(chunk);
      if (response.statusCode !== 200) mistakes.push(`${response.statusCode}: ${text}`);
      else if (stream && !text.endsWith('data: [DONE]\n\n')) mistakes.push('a stream stopped short');
    } catch (error) {
      mistakes.push(String(error));
    }
  }
  agent.destroy();
  return mistakes;
}

/** One request after another, each on a connection of its own. */
async function eachConnected(url: string, goesOn: () => boolean): Promise<string[]> {
  const question: Question = { kind: 'completions', stream: true, text: 'Which way?', maxTokens: 20 };
  const mistakes: string[] = [];
  while (goesOn()) {
    const { end, error } = await ask(url, question, 30_000);
    if (end !== 'whole') mistakes.push(error);
  }
  return mistakes;
}

/** What went wrong for clients while `step` was under way. */
async function underLoad(url: string, step: () => Promise<void>): Promise<string[]> {
  let over = false;
  const goesOn = (): boolean => !over;
  const clients = [0, 1, 2, 3, 4, 5].map((index) => (index % 2 === 0 ? keptAlive : eachConnected)(url, goesOn));
  await step().finally(() => (over = true));
  return (await Promise.all(clients)).flat();
}

async function startGatewayProcess(t: TestContext, more: readonly string[] = []) {
  const engines = [await startEngine(t, { model }), await startEngine(t, { model })];
  const log = join(
    temporaryFolder(t, () => end()),
    'gateway.log',
  );
  const [port, adminPort] = [await freePort(), await freePort()];
  const gateway = new Command(
    ['gateway', '--port', `${port}`, '--admin-port', `${adminPort}`, ...more].concat(
      engines.flatMap(({ url }) => ['--endpoint', url]),
    ),
    log,
  );
  const successors = (): number[] =>
    readFileSync(log, 'utf8')
      .split('\n')
      .flatMap((line) => /"successor":(\d+)/.exec(line)?.[1] ?? [])
      .map(Number);
  const end = async (): Promise<void> => {
    const [last] = successors().slice(-1);
    if (last !== undefined && identify(last) !== null) process.kill(last, 'SIGKILL');
    await gateway.kill();
  };
  gateway.start();
  const url = `http://127.0.0.1:${port}`;
  await answers(`${url}/readyz`);
  // The first worker answers before the last one does; whoever asks for a successor sooner is not heard.
  await until(() => readFileSync(log, 'utf8').includes('"listening"'));
  return { gateway, url, adminUrl: `http://127.0.0.1:${adminPort}`, log, successors };
}

for (const workers of ['1', '3']) {
  test(`a new process takes the port over under load, time and again: nothing is lost (workers: ${workers})`, async (t) => {
    const { gateway, url, adminUrl, successors } = await startGatewayProcess(t, ['--workers', workers]);
    const pids = [gateway.pid];
    const mistakes = await underLoad(url, async () => {
      for (let count = 1; count <= 3; count++) {
        process.kill(pids.at(-1)!, 'SIGUSR2');
        await until(() => successors().length === count);
        await until(() => identify(pids.at(-1)!) === null);
        pids.push(successors().at(-1)!);
      }
    });
    assert.deepEqual(mistakes, []);
    assert.equal(new Set(pids).size, 4);
    assert.equal((await fetch(`${adminUrl}/readyz`)).status, 200);
    process.kill(pids.at(-1)!, 'SIGTERM');
    await until(() => identify(pids.at(-1)!) === null);
    await assert.rejects(fetch(`${url}/readyz`));
  });
}

test('where the new process cannot start the old one goes on', async (t) => {
  const config = join(temporaryFolder(t), 'policy.yaml');
  writeFileSync(config, readFileSync(join(repository, 'assets/policies/least-requests.yaml')));
  const { gateway, url, log, successors } = await startGatewayProcess(t, ['--config-file', config]);
  writeFileSync(config, 'plugins: [{type: no-such-plugin');
  const mistakes = await underLoad(url, async () => {
    gateway.signal('SIGUSR2');
    await until(() => readFileSync(log, 'utf8').includes('before it answered'));
  });
  assert.deepEqual(mistakes, []);
  assert.deepEqual(successors(), []);
  assert.equal(gateway.ended, false);
});

test('on a socket that somebody else holds, connections wait while a gateway that was killed starts again', async (t) => {
  const engine = await startEngine(t, { model });
  const port = await freePort();
  const socket = await holdSocket('127.0.0.1', port);
  t.after(() => socket.close());
  const adminPort = await freePort();
  const start = () => {
    const child = spawn(
      process.execPath,
      [...main, 'gateway', '--endpoint', engine.url, '--admin-port', `${adminPort}`],
      { env: { ...process.env, ...handDown(1, 'supervisor') }, stdio: ['ignore', 'ignore', 'ignore', socket.fd] },
    );
    t.after(() => child.kill('SIGKILL'));
    return child;
  };
  const first = start();
  await answers(`http://127.0.0.1:${port}/readyz`);
  first.kill('SIGKILL');
  await once(first, 'exit');
  const question: Question = { kind: 'chat', stream: true, text: 'Which way?', maxTokens: 5 };
  const waiting = [0, 1, 2, 3].map(() => ask(`http://127.0.0.1:${port}`, question, 60_000));
  start();
  assert.deepEqual(
    (await Promise.all(waiting)).map(({ end, error }) => `${end}${error}`),
    ['whole', 'whole', 'whole', 'whole'],
  );
});
