import assert from 'node:assert/strict';
import { test } from 'node:test';
import { model, postJson, startEngine, startStub, startTestGateway, until } from '../support/fleet-under-test.ts';
import { checkedFamilies } from '../support/prometheus-text.ts';

const ok = JSON.stringify({ object: 'text_completion', choices: [{ text: 'fine' }] });
const body = { model, prompt: 'x', max_tokens: 4 };

async function ready(adminUrl: string): Promise<string[]> {
  const all = (await (await fetch(`${adminUrl}/api/endpoints`)).json()) as { name: string; ready: boolean }[];
  return all.filter((each) => each.ready).map(({ name }) => name);
}

async function metric(adminUrl: string, name: string, reason?: string): Promise<number> {
  const families = checkedFamilies(await (await fetch(`${adminUrl}/metrics`)).text());
  const samples = families.get(name)?.samples ?? [];
  return samples.find(({ labels }) => labels['reason'] === reason)?.value ?? 0;
}

test('when most endpoints fail they are used all the same, and no longer once most do well', async (t) => {
  let failing = true;
  const answer: Parameters<typeof startStub>[1] = (_request, response) => {
    if (failing) response.writeHead(500).end('{"error":"no"}');
    else response.end(ok);
  };
  const stubs = await Promise.all([answer, answer, answer].map((each) => startStub(t, each)));
  const policy = { environment: { ENABLE_LOAD_AWARE_SCORER: 'true' } };
  const gateway = await startTestGateway(
    t,
    stubs.map(({ url }) => url),
    { policy },
  );
  const ask = async (): Promise<number> => (await postJson(`${gateway.url}/v1/completions`, body)).status;
  // One after the other is taken out; with two of three out, all are in use.
  await until(async () => {
    assert.equal(await ask(), 500);
    return (await metric(gateway.adminUrl, 'signalbox_panic_mode')) === 1;
  });
  assert.equal((await ready(gateway.adminUrl)).length, 3);
  assert.ok((await metric(gateway.adminUrl, 'signalbox_ejections_total', 'server-error')) >= 2);
  failing = false;
  await until(async () => {
    assert.equal(await ask(), 200);
    return (await metric(gateway.adminUrl, 'signalbox_panic_mode')) === 0;
  });
  await until(async () => (await ready(gateway.adminUrl)).length === 3);
  assert.ok((await metric(gateway.adminUrl, 'signalbox_returns_total', 'server-error')) >= 1);
  assert.ok((await metric(gateway.adminUrl, 'signalbox_retries_total', 'server-error')) >= 1);
});

test('with a canary, an endpoint that was out is used again only when it gives a token', async (t) => {
  let works = false;
  const bad = await startStub(t, (_request, response) => {
    if (works) response.end(ok);
    else response.writeHead(500).end('{"error":"no"}');
  });
  const good = await startStub(t, (_request, response) => response.end(ok));
  const others = await startStub(t, (_request, response) => response.end(ok));
  const policy = { environment: { ENABLE_LOAD_AWARE_SCORER: 'true' } };
  const gateway = await startTestGateway(t, [bad.url, good.url, others.url], { policy, canary: true });
  const asked = (): number => bad.requests.filter(({ body: text }) => text.includes('"prompt":"x"')).length;
  const canaries = (): number => bad.requests.filter(({ body: text }) => text.includes('"Hello"')).length;
  await until(async () => {
    assert.equal((await postJson(`${gateway.url}/v1/completions`, body)).status, 200);
    return !(await ready(gateway.adminUrl)).includes(bad.name);
  });
  const before = asked();
  // It answers /health all the time.
  await until(() => canaries() >= 3);
  assert.ok(!(await ready(gateway.adminUrl)).includes(bad.name));
  assert.equal(asked(), before);
  works = true;
  await until(async () => (await ready(gateway.adminUrl)).includes(bad.name));
  assert.equal(await metric(gateway.adminUrl, 'signalbox_returns_total', 'unhealthy'), 1);
});

test('the only endpoint stands still: what was sent there is waited for, and answered when it goes on', async (t) => {
  const engine = await startEngine(t);
  const gateway = await startTestGateway(t, [engine.url]);
  const failing = (mode: string): Promise<Response> => postJson(`${engine.url}/sim/failures`, { mode });
  await failing('hang');
  const answer = postJson(`${gateway.url}/v1/completions`, body);
  await until(async () => (await metric(gateway.adminUrl, 'signalbox_ejections_total', 'unresponsive')) === 1);
  await new Promise((next) => setTimeout(next, 500)); // in which it was looked at again
  await failing('none');
  assert.equal((await answer).status, 200);
  assert.deepEqual(await ready(gateway.adminUrl), [new URL(engine.url).host]);
});
