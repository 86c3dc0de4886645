import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { before, test, type TestContext } from 'node:test';
import { eventually, freePort, repository, runCommand, temporaryFolder } from '../support/command.ts';
import { model, startEngine, startStub } from '../support/fleet-under-test.ts';
import { complete, getJson } from '../support/stack.ts';
import { prompt1, prompt2 } from '../support/walkthrough-prompts.ts';

/** A real Envoy in front of the EPP as a process of its own, simulated engines behind. */
let envoyProgram = '';
const launcher = join(repository, 'signalbox');

before(async () => {
  const installed = await runCommand('sh', [join(repository, 'test/envoy/install.sh')]);
  assert.equal(installed.status, 0, installed.stderr);
  envoyProgram = installed.stdout.trim();
});

interface Front {
  readonly url: string;
  readonly adminUrl: string;
  startEpp(): Promise<ChildProcess>;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise((done) => child.once('exit', done));
}

function start(t: TestContext, program: string, programArguments: readonly string[]): ChildProcess {
  const child = spawn(program, programArguments, { stdio: 'ignore' });
  t.after(async () => {
    child.kill('SIGKILL');
    await ended(child);
  });
  return child;
}

/** Envoy and EPP in front of `endpoints`; what `envoy-config` prints is used as it is. */
async function startFront(
  t: TestContext,
  endpoints: readonly string[],
  flags: { readonly envoy?: readonly string[]; readonly epp?: readonly string[] } = {},
): Promise<Front> {
  const [port, grpcPort, healthPort, adminPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const folder = temporaryFolder(t);
  const printed = await runCommand(launcher, [
    ...['envoy-config', '--port', String(port), '--epp', `127.0.0.1:${grpcPort}`],
    ...(flags.envoy ?? ['--endpoint', ...endpoints]),
  ]);
  assert.equal(printed.status, 0, printed.stderr);
  writeFileSync(join(folder, 'envoy.yaml'), printed.stdout);
  const adminUrl = `http://127.0.0.1:${adminPort}`;
  const ports = ['--grpc-port', grpcPort, '--grpc-health-port', healthPort, '--metrics-port', adminPort].map(String);
  const startEpp = async (): Promise<ChildProcess> => {
    const named = ['--endpoint', ...endpoints];
    const child = start(t, launcher, ['epp', '--host', '127.0.0.1', ...ports, ...named, ...(flags.epp ?? [])]);
    await eventually('the EPP is ready', 20_000, async () => {
      const ready = await fetch(`${adminUrl}/readyz`).catch(() => null);
      return ready?.ok === true ? true : null;
    });
    return child;
  };
  await startEpp().then((child) => (first = child));
  const concurrency = ['--concurrency', '1', '--disable-hot-restart', '-l', 'error'];
  start(t, envoyProgram, ['-c', join(folder, 'envoy.yaml'), ...concurrency]);
  const url = `http://127.0.0.1:${port}`;
  await eventually('Envoy answers', 20_000, async () => {
    const response = await fetch(`${url}/v1/models`).catch(() => null);
    return response?.ok === true ? true : null;
  });
  return { url, adminUrl, startEpp };
}

let first: ChildProcess | null = null;

async function stopEpp(signal: NodeJS.Signals): Promise<void> {
  first!.kill(signal);
  await ended(first!);
}

test('both prompts of the walkthrough through Envoy: the second goes where the first is cached', async (t) => {
  const engines = [await startEngine(t), await startEngine(t)];
  const front = await startFront(
    t,
    engines.map(({ url }) => url),
  );
  const one = await complete(front.url, model, prompt1, 8);
  assert.equal(one.status, 200);
  const two = await complete(front.url, model, prompt2, 8);
  assert.equal(two.status, 200);
  assert.ok((two.body.usage.prompt_tokens_details?.cached_tokens ?? 0) > 0);
  assert.equal(two.headers.get('x-signalbox-endpoint'), one.headers.get('x-signalbox-endpoint'));
  const decision = await eventually('its outcome', 2000, async () => {
    const id = two.headers.get('x-signalbox-decision') ?? '';
    const found = await getJson<{ outcome: { cachedTokens: number } | null }>(`${front.adminUrl}/api/decisions/${id}`);
    return found.outcome === null ? null : found;
  });
  assert.equal(decision.outcome?.cachedTokens, two.body.usage.prompt_tokens_details?.cached_tokens);
});

test('a stream comes through event by event', async (t) => {
  const engine = await startEngine(t);
  const front = await startFront(t, [engine.url]);
  const response = await fetch(`${front.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, prompt: prompt1, max_tokens: 12, stream: true }),
  });
  const text = await response.text();
  assert.equal(text.split('\n\n').filter((event) => event.startsWith('data: {')).length, 12);
  assert.ok(text.endsWith('data: [DONE]\n\n'));
});

test('bodies of 1 MB and 10 MB arrive whole, and so do answers', async (t) => {
  const digests: string[] = [];
  const stub = await startStub(t, (_request, response, body) => {
    digests.push(createHash('sha256').update(body).digest('hex'));
    response.setHeader('content-type', 'application/json');
    response.end(body);
  });
  const front = await startFront(t, [stub.url]);
  for (const bytes of [1_000_000, 10_000_000]) {
    const body = JSON.stringify({ model, prompt: 'abcdefgh'.repeat(bytes / 8), max_tokens: 1 });
    const response = await fetch(`${front.url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    assert.equal(response.status, 200);
    const digest = createHash('sha256').update(body).digest('hex');
    assert.equal(digests.at(-1), digest);
    assert.equal(
      createHash('sha256')
        .update(Buffer.from(await response.arrayBuffer()))
        .digest('hex'),
      digest,
    );
  }
});

test('with one endpoint gone every request is answered by the other', async (t) => {
  const alive = await startStub(t, (_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end('{}');
  });
  const dying = await startStub(t, (_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end('{}');
  });
  const front = await startFront(t, [alive.url, dying.url]);
  dying.server.closeAllConnections();
  dying.server.close();
  for (let count = 0; count < 10; count++) {
    const response = await complete(front.url, model, `prompt ${count}`, 1);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('x-signalbox-endpoint'), alive.name);
  }
});

test('Envoy hears of the endpoints from the EPP; of what was sent to one that is killed nothing is lost', async (t) => {
  const ports = [await freePort(), await freePort(), await freePort()];
  const urls = ports.map((port) => `http://127.0.0.1:${port}`);
  const engines = ports.map((port) =>
    start(t, launcher, ['engine', '--port', String(port), '--model', model, '--time-scale', '10']),
  );
  const front = await startFront(t, urls, { envoy: ['--endpoints-from-epp', '--fail-open'] });
  const failures: unknown[] = [];
  let answered = 0;
  let going = true;
  const user = async (index: number): Promise<void> => {
    for (let turn = 0; going; turn++) {
      const { status, body } = await complete(front.url, model, `user ${index} turn ${turn}`, 20);
      if (status === 200) answered += 1;
      else failures.push([status, body]);
    }
  };
  const users = Array.from({ length: 12 }, (_, index) => user(index));
  for (const engine of engines.slice(1)) {
    const before = answered;
    await eventually('requests are answered', 10_000, () => Promise.resolve(answered > before + 50 ? true : null));
    engine.kill('SIGKILL');
    await ended(engine);
  }
  const before = answered;
  await eventually('requests go on', 10_000, () => Promise.resolve(answered > before + 50 ? true : null));
  going = false;
  await Promise.all(users);
  assert.deepEqual(failures, []);
  // Without its picker Envoy goes on with what it has heard.
  await stopEpp('SIGKILL');
  await eventually('requests go on without the EPP', 10_000, async () =>
    (await post(front.url)).status === 200 ? true : null,
  );
});

test('ORIGINAL_DST, for pools that Envoy does not know', async (t) => {
  const engines = [await startEngine(t), await startEngine(t)];
  const urls = engines.map(({ url }) => url);
  const front = await startFront(t, urls, { envoy: [], epp: ['--fallbacks', '0'] });
  assert.equal((await complete(front.url, model, prompt1, 4)).status, 200);
});

test('without its EPP a closed front fails, an open one goes on; a new EPP is taken up again', async (t) => {
  const engine = await startEngine(t);
  for (const open of [false, true]) {
    const envoy = ['--endpoint', engine.url, ...(open ? ['--fail-open'] : [])];
    const front = await startFront(t, [engine.url], { envoy });
    await stopEpp('SIGKILL');
    // Until Envoy knows, a request with a body fails either way.
    await eventually('requests go on, or fail', 10_000, async () => {
      const { status, decided } = await post(front.url);
      assert.equal(decided, false);
      return status === (open ? 200 : 500) ? true : null;
    });
    first = await front.startEpp();
    await eventually('decisions again', 10_000, async () => {
      const { status, decided } = await post(front.url);
      return status === 200 && decided ? true : null;
    });
  }
});

test('clients that leave at any moment leave nothing behind', async (t) => {
  const engine = await startEngine(t);
  const front = await startFront(t, [engine.url]);
  const left = Array.from({ length: 400 }, async (_, index) => {
    const signal = AbortSignal.timeout(1 + (index % 40));
    const body = JSON.stringify({ model, prompt: 'Hello.', max_tokens: 2 });
    const headers = { 'content-type': 'application/json' };
    await fetch(`${front.url}/v1/completions`, { method: 'POST', headers, body, signal }).catch(() => null);
  });
  await Promise.all(left);
  await eventually('no stream is under way', 5000, async () => {
    const text = await (await fetch(`${front.adminUrl}/metrics`)).text();
    return text.includes('llm_d_epp_extproc_streams_inflight 0\n') ? true : null;
  });
  const [endpoint] = await getJson<{ inFlight: number }[]>(`${front.adminUrl}/api/endpoints`);
  assert.equal(endpoint!.inFlight, 0);
  assert.equal((await complete(front.url, model, prompt1, 2)).status, 200);
});

test('an EPP that is told to end finishes what is under way', async (t) => {
  const engine = await startEngine(t, { timeScale: 1 });
  const front = await startFront(t, [engine.url]);
  const underWay = complete(front.url, model, prompt1, 40);
  await eventually('it is under way', 5000, async () => {
    const [endpoint] = await getJson<{ inFlight: number }[]>(`${front.adminUrl}/api/endpoints`);
    return endpoint!.inFlight > 0 ? true : null;
  });
  const stopped = stopEpp('SIGTERM');
  assert.equal((await underWay).status, 200);
  await stopped;
  assert.equal(first!.exitCode, 0);
});

/** Over a connection of its own: a status, whatever its body is. */
function post(url: string): Promise<{ status: number; decided: boolean }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const sent = request(`${url}/v1/completions`, { method: 'POST', headers, agent: false }, (response) => {
      response.resume();
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, decided: 'x-signalbox-decision' in response.headers }),
      );
    });
    sent.on('error', reject);
    sent.end(JSON.stringify({ model, prompt: 'Hello.', max_tokens: 2 }));
  });
}
