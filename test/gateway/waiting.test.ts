import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { AdmissionJson } from '../../src/admin/json.ts';
import { temporaryFolder } from '../support/command.ts';
import { model, postJson, startEngine, startTestGateway, until } from '../support/fleet-under-test.ts';

/** The default policy, full at a tenth of a second of prefill, so that a small engine fills soon. */
const policy = (flowControl: object = {}) => ({
  environment: {},
  configText: JSON.stringify({
    apiVersion: 'llm-d.ai/v1alpha1',
    kind: 'EndpointPickerConfig',
    plugins: ['queued-prefill-cost', 'own-prefill-cost', 'min-cost-picker'].map((type) => ({ type })),
    schedulingProfiles: [
      {
        name: 'default',
        plugins: ['queued-prefill-cost', 'own-prefill-cost', 'min-cost-picker'].map((pluginRef) => ({ pluginRef })),
      },
    ],
    flowControl: {
      hold: { maxPrefillBacklogSeconds: 0.1 },
      objectives: [
        { name: 'urgent', priority: 10 },
        { name: 'nightly', priority: -1 },
      ],
      ...flowControl,
    },
  }),
});

const urgent = { headers: { 'x-llm-d-inference-objective': 'urgent' } };
const nightly = { headers: { 'x-llm-d-inference-objective': 'nightly' } };

/** A real engine, slow enough that prompts of some ten thousand tokens take a second or two, behind a real gateway. */
async function busy(t: TestContext, flowControl: object = {}, timeScale = 1) {
  const engine = await startEngine(t, { timeScale });
  const gateway = await startTestGateway(t, [engine.url], { policy: policy(flowControl) });
  const ask = (name: string, words: number, init: RequestInit = {}, fields: object = {}): Promise<Response> =>
    postJson(
      `${gateway.url}/v1/completions`,
      { model, stream: true, max_tokens: 2, prompt: `${name} `.repeat(words), ...fields },
      init,
    );
  const admission = async (): Promise<AdmissionJson> =>
    (await (await fetch(`${gateway.adminUrl}/api/admission`)).json()) as AdmissionJson;
  const placed = (count: number): Promise<void> => until(async () => (await admission()).totals.placed >= count);
  const held = (count: number): Promise<void> => until(async () => (await admission()).held === count);
  return { gateway, ask, admission, placed, held };
}

interface Seen {
  readonly status: number;
  readonly text: string;
  readonly queue: string | null;
  readonly atMs: number;
}

async function seen(answer: Promise<Response>): Promise<Seen> {
  const response = await answer;
  const text = await response.text();
  return { status: response.status, text, queue: response.headers.get('x-signalbox-queue'), atMs: performance.now() };
}

test('a higher priority takes back what has not begun, is answered first, and both are answered', async (t) => {
  const { ask, gateway, placed, admission } = await busy(t);
  const low = seen(ask('low', 24_000, nightly));
  await placed(1);
  const first = await seen(ask('high', 4_000, urgent));
  const last = await low;
  assert.deepEqual([first.status, last.status], [200, 200]);
  assert.ok(first.atMs < last.atMs);
  assert.match(last.text, /\[DONE\]/);
  const { totals } = await admission();
  assert.equal(totals.takenBack, 1);
  const decisions = (await (await fetch(`${gateway.adminUrl}/api/decisions`)).json()) as {
    admission: { band: string };
    attempts: { reason: string }[];
  }[];
  const { attempts } = decisions.find((each) => each.admission.band === '-1')!;
  assert.equal(attempts[0]!.reason, 'taken back for a higher priority');
  const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  assert.match(metrics, /^signalbox_taken_back_total 1$/m);
  assert.match(metrics, /^llm_d_epp_flow_control_requests_total\{.*priority="10",outcome="Dispatched".*\} 1$/m);
});

test('what cannot be in time is said at once, with the reason and when to come back', async (t) => {
  const { ask, placed, held, admission } = await busy(t);
  const many = [seen(ask('a', 20_000))];
  await placed(1);
  for (let i = 0; i < 3; i++) many.push(seen(ask(`b${i}`, 8_000)));
  await held(3);
  const hurried = await ask('hurried', 10, { headers: { 'x-llm-d-slo-ttft-ms': '5' } });
  assert.equal(hurried.status, 429);
  assert.ok(Number(hurried.headers.get('retry-after')) >= 1);
  assert.match(await hurried.text(), /wanted within 0\.005 s and would come after about/);
  const { totals, saturation, desiredReplicas, bands } = await admission();
  assert.deepEqual(totals.shed, { 'too-late': 1 });
  assert.ok(saturation! > 0.9 && desiredReplicas >= 1);
  assert.equal(bands[0]!.held, 3);
  for (const each of await Promise.all(many)) assert.equal(each.status, 200);
});

test('who leaves while it waits is never sent; the others move up', async (t) => {
  const { ask, placed, held, admission } = await busy(t);
  const first = seen(ask('a', 20_000));
  await placed(1);
  const leaving = new AbortController();
  const gone = ask('gone', 8_000, { signal: leaving.signal }).catch((error: unknown) => error);
  const stays = seen(ask('stays', 8_000));
  await held(2);
  leaving.abort();
  await gone;
  await held(1);
  assert.equal((await first).status, 200);
  assert.equal((await stays).status, 200);
  const { totals } = await admission();
  assert.equal(totals.left, 1);
  assert.equal(totals.placed, 2);
});

test('tenants that wait are served alike, however many one of them sends', async (t) => {
  const { ask, placed, held } = await busy(t, { quantumTokens: 1000, order: 'first-come' }, 2);
  const of = (tenant: string): RequestInit => ({ headers: { 'x-llm-d-inference-fairness-id': tenant } });
  const order: string[] = [];
  const send = (tenant: string, name: string, words = 6_000): Promise<unknown> =>
    seen(ask(name, words, of(tenant))).then(() => order.push(tenant));
  const all = [send('many', 'first', 32_000)];
  await placed(1);
  for (let i = 0; i < 8; i++) all.push(send('many', `m${i}`));
  await held(8);
  for (let i = 0; i < 3; i++) all.push(send('few', `f${i}`));
  await held(11);
  await Promise.all(all);
  assert.equal(order.slice(0, 8).filter((tenant) => tenant === 'few').length, 3, order.join(' '));
});

test('a stream that waits is told where it stands, where it asks for that; what goes wrong then is an error event', async (t) => {
  const { ask, placed, held } = await busy(t, { bands: [{ priority: -1, ttlSeconds: 2 }] });
  const first = seen(ask('a', 44_000));
  await placed(1);
  const told = seen(ask('told', 6_000, { headers: { 'x-signalbox-waiting': 'on' } }));
  const plain = seen(ask('plain', 6_000));
  const expires = seen(ask('e', 6_000, { headers: { ...nightly.headers, 'x-signalbox-waiting': 'on' } }));
  await held(3);
  const [a, b, c, d] = await Promise.all([first, told, plain, expires]);
  assert.equal(a.status, 200);
  assert.match(b.text, /^: position=1, expected=[\d.]+s$/m);
  assert.match(b.text, /^: x-signalbox-endpoint: 127\.0\.0\.1:\d+$/m);
  assert.match(b.text, /^data: \{.*text_completion/m);
  assert.match(b.text, /data: \[DONE\]\n\n$/);
  assert.doesNotMatch(c.text, /^:/m);
  assert.match(c.queue!, /^position=\d, expected=[\d.]+s, waited=[\d.]+s$/);
  assert.equal(d.status, 200);
  assert.match(d.text, /^data: \{"error":\{"message":"Every endpoint was busy for the 2 s that a request may wait\."/m);
});

test('a pool scaled to nothing keeps its first request, says that it cannot tell how long, and serves it', async (t) => {
  const file = join(temporaryFolder(t), 'endpoints.yaml');
  writeFileSync(file, 'endpoints: []\n');
  const gateway = await startTestGateway(t, [], { endpointsFile: file, policy: policy() });
  const waiting = postJson(`${gateway.url}/v1/completions`, { model, prompt: 'early', max_tokens: 2 });
  const admission = async (): Promise<AdmissionJson> =>
    (await (await fetch(`${gateway.adminUrl}/api/admission`)).json()) as AdmissionJson;
  await until(async () => (await admission()).held === 1);
  const { queue, desiredReplicas } = await admission();
  assert.equal(queue[0]!.reason, 'no endpoint is there yet');
  assert.equal(queue[0]!.ahead!.seconds, null);
  assert.equal(desiredReplicas, 1);
  const engine = await startEngine(t);
  writeFileSync(file, `endpoints:\n  - name: first\n    address: 127.0.0.1:${engine.port}\n`);
  const response = await waiting;
  assert.equal(response.status, 200);
  assert.match(response.headers.get('x-signalbox-queue')!, /^position=1, expected=unknown, waited=/);
});
