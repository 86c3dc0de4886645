import assert from 'node:assert/strict';
import { Agent, request as httpRequest } from 'node:http';
import { text } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import type { ServerResponse } from 'node:http';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import type { AdmissionJson, DecisionJson, DecisionRowJson, EndpointJson, KeysJson } from '../../../src/admin/json.ts';
import { hashOf, newKey } from '../../../src/keys/secret.ts';
import { Command } from '../../chaos/process.ts';
import { freePort, repository, temporaryFolder } from '../../support/command.ts';
import { startGateway } from '../../../src/gateway/gateway.ts';
import { model, silent, startEngine, startStub } from '../../support/fleet-under-test.ts';
import { prompt1, prompt2 } from '../../support/walkthrough-prompts.ts';

interface Ask {
  readonly prompt?: string;
  readonly stream?: boolean;
  readonly maxTokens?: number;
  /** The client leaves so long after it has sent its request. */
  readonly leavesAfterMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Asks over a connection of its own, which the system gives to one of the workers. The answer's status; null for a client that left. */
function ask(
  url: string,
  id: string,
  { prompt = 'Which way?', stream = false, maxTokens = 5, leavesAfterMs, headers }: Ask,
) {
  const body = JSON.stringify({ model, prompt, stream, max_tokens: maxTokens });
  const agent = new Agent({ keepAlive: false });
  return new Promise<{ status: number; body: string } | null>((resolve, reject) => {
    const request = httpRequest(`${url}/v1/completions`, {
      ...{ method: 'POST', agent },
      headers: { 'content-type': 'application/json', 'content-length': body.length, 'x-request-id': id, ...headers },
    });
    let left = false;
    request.once('response', (response) => {
      text(response).then(
        (all) => (left ? resolve(null) : resolve({ status: response.statusCode!, body: all })),
        () => resolve(null),
      );
    });
    request.once('error', (error) => (left ? resolve(null) : reject(error)));
    request.end(body);
    if (leavesAfterMs === undefined) return;
    setTimeout(() => {
      left = true;
      request.destroy();
    }, leavesAfterMs);
  });
}

async function api<Json>(adminUrl: string, path: string): Promise<Json> {
  return (await (await fetch(`${adminUrl}/api/${path}`)).json()) as Json;
}

const limitMs = 30_000;

/** Waits until `look` gives what is wanted. */
async function comesTo<Value>(wanted: Value, look: () => Value | Promise<Value>): Promise<void> {
  const end = performance.now() + limitMs;
  for (;;) {
    const value = await look();
    try {
      return assert.deepEqual(value, wanted);
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await new Promise((next) => setTimeout(next, 20));
  }
}

/** A gateway in a process of its own, ready. */
async function startGatewayProcess(
  t: TestContext,
  endpoints: readonly string[],
  more: readonly string[],
  env: Record<string, string> = {},
) {
  const log = join(
    temporaryFolder(t, () => gateway.kill()),
    'gateway.log',
  );
  const [port, adminPort] = [await freePort(), await freePort()];
  const flags = ['gateway', '--port', `${port}`, '--admin-port', `${adminPort}`, ...more];
  const gateway = new Command([...flags, ...endpoints.flatMap((url) => ['--endpoint', url])], log, env);
  gateway.start();
  const readLog = (): string => readFileSync(log, 'utf8');
  await comesTo(true, () => existsSync(log) && readLog().includes('"listening"'));
  const adminUrl = `http://127.0.0.1:${adminPort}`;
  await comesTo(
    endpoints.length,
    async () => (await api<EndpointJson[]>(adminUrl, 'endpoints')).filter(({ ready }) => ready).length,
  );
  return { gateway, url: `http://127.0.0.1:${port}`, adminUrl, readLog };
}

/** An engine that answers when the test says so. */
async function startHolding(t: TestContext) {
  const held = new Set<ServerResponse>();
  const stub = await startStub(t, (_request, response) => {
    held.add(response);
    response.once('close', () => held.delete(response));
  });
  const answer = (): void => {
    for (const response of held) response.end(answerBody);
  };
  return { ...stub, held, answer };
}

const answerBody = '{"choices":[{"text":"here"}],"usage":{"prompt_tokens":4,"completion_tokens":1}}';

/** An engine that answers at once, in pieces where it is asked for a stream. */
function startQuick(t: TestContext) {
  return startStub(t, (_request, response, body) => {
    if (!body.includes('"stream":true')) return void response.end(answerBody);
    response.setHeader('content-type', 'text/event-stream');
    let left = 4;
    const next = (): void => {
      if (response.destroyed) return;
      if (left-- === 0) return void response.end('data: [DONE]\n\n');
      response.write('data: {"choices":[{"index":0,"text":"word","finish_reason":null}]}\n\n');
      setTimeout(next, 3);
    };
    next();
  });
}

test('eight workers count each request once, and nothing is left when clients leave at any time', async (t) => {
  const engines = await Promise.all([1, 2, 3].map(() => startEngine(t, { timeScale: 50 })));
  const gateway = await startGatewayProcess(
    t,
    engines.map(({ url }) => url),
    ['--workers', '8'],
  );
  const sent = 3000;
  const asks = fc.sample(
    fc.record({
      stream: fc.boolean(),
      maxTokens: fc.integer({ min: 1, max: 12 }),
      prompt: fc.nat({ max: 40 }).map((which) => `Question ${which}: ${'the way to the station '.repeat(which)}`),
      leaves: fc.option(fc.integer({ min: 0, max: 30 }), { freq: 2 }),
    }),
    { numRuns: sent, seed: 11 },
  );
  const answered: string[] = [];
  const statuses = new Map<number, number>();
  let next = 0;
  const client = async (): Promise<void> => {
    for (let at = next++; at < sent; at = next++) {
      const { leaves, ...rest } = asks[at]!;
      const answer = await ask(gateway.url, `r${at}`, {
        ...rest,
        ...(leaves === null ? {} : { leavesAfterMs: leaves }),
      });
      if (answer === null) continue;
      answered.push(`r${at}`);
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: 32 }, client));
  assert.deepEqual([...statuses.keys()], [200]);
  assert.ok(answered.length > sent / 2 && answered.length < sent, `${answered.length} were answered`);

  await comesTo(Array(9).fill(0), async () =>
    (await api<EndpointJson[]>(gateway.adminUrl, 'endpoints')).flatMap((each) => [
      each.inFlight,
      each.queuedPrefillTokens,
      each.contextTokens,
    ]),
  );
  const rows: DecisionRowJson[] = [];
  for (let before = ''; ;) {
    const page = await api<DecisionRowJson[]>(gateway.adminUrl, `decisions?brief=1&limit=500${before}`);
    if (page.length === 0) break;
    rows.push(...page);
    before = `&before=${page.at(-1)!.id}`;
  }
  const ids = rows.map(({ requestId }) => requestId);
  assert.equal(new Set(ids).size, ids.length, 'a request was decided on twice');
  const decided = new Set(ids);
  assert.deepEqual(
    answered.filter((id) => !decided.has(id)),
    [],
  );
  assert.ok(ids.length <= sent);
  assert.deepEqual(
    rows.filter(({ status }) => status === null),
    [],
  );
  const ok = rows.filter(({ status }) => status === 200);
  assert.ok(ok.length >= answered.length);

  // Whoever sums up what the workers count comes to the same.
  const endpoints = await api<EndpointJson[]>(gateway.adminUrl, 'endpoints');
  assert.equal(
    endpoints.reduce((sum, { totals }) => sum + totals.requests, 0),
    rows.filter(({ endpoint }) => endpoint !== null).length,
  );
  assert.equal((await api<AdmissionJson>(gateway.adminUrl, 'admission')).totals.placed, rows.length);
  const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  const value = (name: string): number =>
    [...metrics.matchAll(new RegExp(`^${name}\\{[^}]*\\} (\\S+)$`, 'gm'))].reduce(
      (sum, [, number]) => sum + Number(number),
      0,
    );
  assert.equal(value('llm_d_epp_request_total'), rows.length);
  assert.equal(value('llm_d_epp_request_running'), 0);
  assert.equal(
    value('llm_d_epp_request_duration_seconds_count'),
    rows.filter(({ e2eSeconds }) => e2eSeconds !== null).length,
  );

  // And any one of them is found, with all that it says.
  const { id, requestId } = rows[rows.length >> 1]!;
  for (const name of [id, requestId]) {
    assert.equal((await api<DecisionJson>(gateway.adminUrl, `decisions/${name}?flips=1`)).id, id);
  }
  assert.equal((await fetch(`${gateway.adminUrl}/api/decisions/none`)).status, 404);
});

test('what each worker has on its way the others know exactly and at once', async (t) => {
  const stub = await startHolding(t);
  const gateway = await startGatewayProcess(t, [stub.url], ['--workers', '4']);
  const asked = Array.from({ length: 60 }, (_, at) => ask(gateway.url, `h${at}`, { stream: true }));
  await comesTo(60, () => stub.held.size);
  const [endpoint] = await api<EndpointJson[]>(gateway.adminUrl, 'endpoints');
  assert.equal(endpoint!.inFlight, 60);
  stub.answer();
  await Promise.all(asked);
  await comesTo(0, async () => (await api<EndpointJson[]>(gateway.adminUrl, 'endpoints'))[0]!.inFlight);
});

test('prompts of the walkthrough find their cache whichever worker they come to', async (t) => {
  const engines = [await startEngine(t), await startEngine(t)];
  const gateway = await startGatewayProcess(
    t,
    engines.map(({ url }) => url),
    ['--workers', '4'],
  );
  const cachedOf = async (id: string, prompt: string): Promise<{ picked: string; cached: number }> => {
    await ask(gateway.url, id, { prompt });
    const row = await api<DecisionJson>(gateway.adminUrl, `decisions/${id}`);
    // What was sent where reaches the other workers within a few hundredths of a second.
    await new Promise((resolve) => setTimeout(resolve, 100));
    return { picked: row.attempts[0]!.endpoint, cached: row.predicted.cachedTokens ?? 0 };
  };
  const first = await cachedOf('first', prompt1);
  assert.equal(first.cached, 0);
  for (let at = 0; at < 12; at++) {
    const { picked, cached } = await cachedOf(`then-${at}`, at % 2 === 0 ? prompt2 : prompt1);
    assert.equal(picked, first.picked);
    assert.ok(cached > 0, `nothing was known to be cached of request ${at}`);
  }
});

test('events tell of the decisions of every worker', async (t) => {
  const engine = await startEngine(t);
  const gateway = await startGatewayProcess(t, [engine.url], ['--workers', '4']);
  const stop = new AbortController();
  t.after(() => stop.abort());
  const events = await fetch(`${gateway.adminUrl}/api/events`, { signal: stop.signal });
  const seen = new Set<string>();
  const reading = (async () => {
    let rest = '';
    for await (const chunk of events.body!.pipeThrough(new TextDecoderStream())) {
      rest += chunk;
      for (const [, id] of rest.matchAll(/"requestId":"(e\d+)"/g)) seen.add(id!);
    }
  })().catch(() => undefined);
  // Those that listen are told from then on.
  await new Promise((resolve) => setTimeout(resolve, 300));
  const ids = Array.from({ length: 40 }, (_, at) => `e${at}`);
  await Promise.all(ids.map((id) => ask(gateway.url, id, {})));
  await comesTo([...ids].sort(), () => [...seen].sort());
  stop.abort();
  await reading;
});

test('limits of a key hold over all workers, to the request', async (t) => {
  const stub = await startHolding(t);
  const path = join(temporaryFolder(t), 'keys.json');
  const keys = { few: newKey(), five: newKey() };
  const limits = { few: { requestsPerMinute: 17 }, five: { maxConcurrent: 5 } };
  const entries = (['few', 'five'] as const).map((name) => ({ name, hash: hashOf(keys[name]), ...limits[name] }));
  writeFileSync(path, JSON.stringify({ keys: entries }));
  const gateway = await startGatewayProcess(t, [stub.url], ['--workers', '4', '--keys-file', path]);
  const askWith = (key: string, count: number) =>
    Array.from({ length: count }, () =>
      ask(gateway.url, randomBytes(8).toString('hex'), { headers: { authorization: `Bearer ${key}` } }),
    );
  const statusesOf = async (asked: ReturnType<typeof askWith>): Promise<Record<number, number>> => {
    const counts: Record<number, number> = {};
    for (const answer of await Promise.all(asked)) counts[answer!.status] = (counts[answer!.status] ?? 0) + 1;
    return counts;
  };
  const asked = askWith(keys.five, 60);
  await comesTo(5, () => stub.held.size);
  const early = await Promise.all(
    asked.map((each) =>
      Promise.race([each, new Promise<'held'>((resolve) => setTimeout(() => resolve('held'), 1000))]),
    ),
  );
  assert.equal(early.filter((each) => each === 'held').length, 5);
  const { keys: shown } = await api<KeysJson>(gateway.adminUrl, 'keys');
  assert.equal(shown.find(({ name }) => name === 'five')!.now.inFlight, 5);
  stub.answer();
  assert.deepEqual(await statusesOf(asked), { 200: 5, 429: 55 });
  // What has ended is free again.
  const again = askWith(keys.five, 5);
  await comesTo(5, () => stub.held.size);
  stub.answer();
  assert.deepEqual(await statusesOf(again), { 200: 5 });

  const many = askWith(keys.few, 80);
  await comesTo(17, () => stub.held.size);
  stub.answer();
  assert.deepEqual(await statusesOf(many), { 200: 17, 429: 63 });
});

test('a worker that fails is started again, and its counts leave with it; requests of the others go on', async (t) => {
  const stub = await startHolding(t);
  const crash = {
    NODE_OPTIONS: `--disable-warning=ExperimentalWarning --import ${join(import.meta.dirname, 'crash.ts')}`,
  };
  const gateway = await startGatewayProcess(t, [stub.url], ['--workers', '3'], crash);
  const inFlight = async (): Promise<number> => (await api<EndpointJson[]>(gateway.adminUrl, 'endpoints'))[0]!.inFlight;
  const lost: string[] = [];
  const asked = Array.from({ length: 60 }, async (_, at) => {
    try {
      return (await ask(gateway.url, `c${at}`, { stream: at % 2 === 0 }))?.status ?? null;
    } catch {
      lost.push(`c${at}`);
      return null;
    }
  });
  await comesTo(60, () => stub.held.size);
  await comesTo(60, inFlight);
  gateway.gateway.signal('SIGWINCH');
  await comesTo(true, () => gateway.readLog().includes('another one takes its place'));
  // Only those of the one that failed are gone, at the engine as well.
  await comesTo(60, () => stub.held.size + lost.length);
  assert.ok(lost.length > 0 && lost.length < 60, `${lost.length} of 60 were lost`);
  await comesTo(60 - lost.length, inFlight);
  stub.answer();
  const statuses = (await Promise.all(asked)).filter((status) => status !== null);
  assert.deepEqual(statuses, Array(60 - lost.length).fill(200));
  await comesTo(0, inFlight);
  assert.match(gateway.readLog(), /thrown by a test/);

  // The one in its place serves like the others.
  await comesTo(true, () => /"worker":1[^}]*"listening again"/.test(gateway.readLog()));
  const again = Array.from({ length: 60 }, (_, at) => ask(gateway.url, `d${at}`, {}));
  await comesTo(60, () => stub.held.size);
  await comesTo(60, inFlight);
  stub.answer();
  assert.deepEqual(new Set((await Promise.all(again)).map((answer) => answer!.status)), new Set([200]));
  await comesTo(0, inFlight);
});

test('all workers go by a configuration that was read again, and nothing is lost meanwhile', async (t) => {
  const engines = [await startQuick(t), await startQuick(t)];
  const policies = join(repository, 'assets/policies');
  const config = join(temporaryFolder(t), 'policy.yaml');
  writeFileSync(config, readFileSync(join(policies, 'least-requests.yaml')));
  const gateway = await startGatewayProcess(
    t,
    engines.map(({ url }) => url),
    ['--workers', '4', '--config-file', config],
  );
  let over = false;
  const statuses = new Map<number, number>();
  const client = async (name: number): Promise<void> => {
    for (let at = 0; !over; at++) {
      const answer = await ask(gateway.url, `l${name}-${at}`, { stream: at % 2 === 0 });
      statuses.set(answer!.status, (statuses.get(answer!.status) ?? 0) + 1);
    }
  };
  const clients = Array.from({ length: 4 }, (_, name) => client(name));
  const hashOf = async (): Promise<string> => (await api<{ hash: string }>(gateway.adminUrl, 'policies')).hash;
  const before = await hashOf();
  writeFileSync(config, readFileSync(join(policies, 'round-robin.yaml')));
  gateway.gateway.signal('SIGHUP');
  await comesTo(true, async () => (await hashOf()) !== before);
  const after = await hashOf();
  // Of so many requests on connections of their own each worker gets some.
  await comesTo([after], async () => {
    const made = await api<DecisionJson[]>(gateway.adminUrl, 'decisions?limit=60');
    return [...new Set(made.map(({ policy }) => policy.hash))];
  });
  over = true;
  await Promise.all(clients);
  assert.deepEqual([...statuses.keys()], [200]);
});

test('a port that is taken is an error that says so, also where others would share it', async (t) => {
  const stub = await startQuick(t);
  const first = await startGatewayProcess(t, [stub.url], ['--workers', '2']);
  const port = new URL(first.url).port;
  await assert.rejects(
    startGateway({
      port: Number(port),
      adminPort: 0,
      endpoints: [stub.url],
      workers: 2,
      log: silent,
      policy: { environment: {} },
    }),
    /port \d+ is taken on 127\.0\.0\.1; use --port/,
  );
});

test('after SIGTERM what is under way ends, whichever worker has it', async (t) => {
  const stub = await startHolding(t);
  const gateway = await startGatewayProcess(t, [stub.url], ['--workers', '4']);
  const asked = Array.from({ length: 40 }, (_, at) => ask(gateway.url, `t${at}`, { stream: at % 2 === 0 }));
  await comesTo(40, () => stub.held.size);
  gateway.gateway.signal('SIGTERM');
  await comesTo(true, () =>
    fetch(`${gateway.url}/readyz`).then(
      () => false,
      () => true,
    ),
  );
  stub.answer();
  assert.deepEqual(new Set((await Promise.all(asked)).map((answer) => answer!.status)), new Set([200]));
  await comesTo(true, () => gateway.gateway.ended);
});
