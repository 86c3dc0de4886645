import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { selfSignedCertificate } from '../../src/proxy/certificate.ts';
import { eventually, freePort, repository, temporaryFolder } from '../support/command.ts';
import { model, startEngine, startStub } from '../support/fleet-under-test.ts';
import { complete, getJson } from '../support/stack.ts';
import { prompt1, prompt2 } from '../support/walkthrough-prompts.ts';
import { start, startEnvoy, startFront } from './front.ts';

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
    start(t, join(repository, 'signalbox'), ['engine', '--port', String(port), '--model', model, '--time-scale', '10']),
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
    await once(engine, 'exit');
  }
  const before = answered;
  await eventually('requests go on', 10_000, () => Promise.resolve(answered > before + 50 ? true : null));
  going = false;
  await Promise.all(users);
  assert.deepEqual(failures, []);
  // Without its picker Envoy goes on with what it has heard.
  await front.stopEpp('SIGKILL');
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

test('TLS both ways: an EPP with --client-ca serves the Envoy that shows a certificate, and Envoy knows the EPP by its own', async (t) => {
  const engine = await startEngine(t);
  const folder = temporaryFolder(t);
  for (const name of ['epp', 'envoy', 'other']) {
    const { cert, key } = selfSignedCertificate(Date.now());
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'tls.crt'), cert);
    writeFileSync(join(folder, name, 'tls.key'), key);
  }
  const named = ['--endpoint', engine.url];
  const shows = (whose: string, ca: string): string[] => [
    ...['--epp-cert-path', join(folder, whose), '--epp-ca', join(folder, ca, 'tls.crt')],
  ];
  const front = await startFront(t, [engine.url], {
    epp: ['--cert-path', join(folder, 'epp'), '--client-ca', join(folder, 'envoy', 'tls.crt')],
    envoy: [...named, ...shows('envoy', 'epp')],
  });
  assert.equal((await complete(front.url, model, prompt1, 4)).status, 200);
  // An Envoy that shows another certificate, or asks for another's, does not come to its EPP.
  for (const wrong of [shows('other', 'epp'), shows('envoy', 'other')]) {
    const flags = ['--epp', `127.0.0.1:${front.grpcPort}`, ...named, ...wrong];
    await assert.rejects(startEnvoy(t, flags, 4000), /Envoy answers/);
  }
});

test('without its EPP a closed front fails, an open one goes on; a new EPP is taken up again', async (t) => {
  const engine = await startEngine(t);
  for (const open of [false, true]) {
    const envoy = ['--endpoint', engine.url, ...(open ? ['--fail-open'] : [])];
    const front = await startFront(t, [engine.url], { envoy });
    await front.stopEpp('SIGKILL');
    // Until Envoy knows, a request with a body fails either way.
    await eventually('requests go on, or fail', 10_000, async () => {
      const { status, decided } = await post(front.url);
      assert.equal(decided, false);
      return status === (open ? 200 : 500) ? true : null;
    });
    await front.startEpp();
    await eventually('decisions again', 10_000, async () => {
      const { status, decided } = await post(front.url);
      return status === 200 && decided ? true : null;
    });
  }
});

test('an EPP that is killed and started again in mid-load: what it had placed is answered, what came meanwhile is told', async (t) => {
  const engines = [await startEngine(t, { timeScale: 4 }), await startEngine(t, { timeScale: 4 })];
  const urls = engines.map(({ url }) => url);
  const front = await startFront(t, urls, { envoy: ['--endpoint', ...urls, '--fail-open'] });
  const statuses: number[] = [];
  let goesOn = true;
  const clients = Array.from({ length: 8 }, async () => {
    while (goesOn) statuses.push((await post(front.url)).status);
  });
  await eventually('load', 10_000, () => Promise.resolve(statuses.length > 20 ? true : null));
  await front.stopEpp('SIGKILL');
  const killedAt = statuses.length;
  await eventually('requests go on without it', 20_000, () =>
    Promise.resolve(statuses.slice(killedAt).filter((status) => status === 200).length > 20 ? true : null),
  );
  await front.startEpp();
  await eventually('decisions again', 20_000, async () => ((await post(front.url)).decided ? true : null));
  const backAt = statuses.length;
  await eventually('load goes on', 20_000, () => Promise.resolve(statuses.length > backAt + 20 ? true : null));
  goesOn = false;
  await Promise.all(clients);
  assert.deepEqual(
    [...new Set(statuses)].filter((status) => status !== 200 && status !== 500),
    [],
  );
  assert.deepEqual([...new Set(statuses.slice(backAt))], [200]);
});

test('prefill and decode apart: the EPP says where the prompt is computed, the routing proxy has it done', async (t) => {
  const prefill = await startEngine(t);
  const decode = await startEngine(t);
  const proxyPort = await freePort();
  const folder = temporaryFolder(t);
  const file = join(folder, 'endpoints.json');
  const proxied = `127.0.0.1:${proxyPort}`;
  const endpoint = (name: string, address: string, role: string): object => ({
    ...{ name, address, labels: { 'llm-d.ai/role': role } },
  });
  writeFileSync(
    file,
    JSON.stringify({
      endpoints: [endpoint('p', `127.0.0.1:${prefill.port}`, 'prefill'), endpoint('d', proxied, 'decode')],
    }),
  );
  const config = join(repository, 'assets/policies/always-split.yaml');
  start(t, join(repository, 'signalbox'), [
    ...['sidecar', '--port', String(proxyPort), '--vllm-port', String(decode.port), '--host', '127.0.0.1'],
    ...['--secure-proxy=false', '--prefill-endpoint', `127.0.0.1:${prefill.port}`],
  ]);
  await eventually('the routing proxy answers', 20_000, async () => {
    const response = await fetch(`http://${proxied}/v1/models`).catch(() => null);
    return response?.ok === true ? true : null;
  });
  const front = await startFront(t, [], {
    envoy: ['--endpoint', `http://${proxied}`],
    epp: ['--endpoints-file', file, '--config-file', config],
  });
  const answer = await complete(front.url, model, prompt1, 8);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('x-signalbox-endpoint'), 'd');
  const decision = await getJson<{ disaggregation: { split: boolean; prefill: string } | null }>(
    `${front.adminUrl}/api/decisions/${answer.headers.get('x-signalbox-decision') ?? ''}`,
  );
  assert.equal(decision.disaggregation?.split, true);
  assert.equal(decision.disaggregation.prefill, 'p');
  const page = await (await fetch(`${prefill.url}/metrics`)).text();
  assert.match(page, /^vllm:prompt_tokens_total\{[^}]*\} [1-9]/m, 'the prompt was computed at the prefill engine');
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
  const stopped = front.stopEpp('SIGTERM');
  assert.equal((await underWay).status, 200);
  await stopped;
  assert.equal(front.epp().exitCode, 0);
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
