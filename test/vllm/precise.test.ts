import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, freePort, runCommand } from '../support/command.ts';
import { getJson } from '../support/stack.ts';
import { startTestGateway, postJson } from '../support/fleet-under-test.ts';
import { startVllm, type Vllm } from './start-vllm.ts';
import { makeTinyModel } from './make-tiny-model.ts';

/**
 * Two real vLLMs with KV events and replay behind the gateway: what is predicted to be cached is what they report, also
 * after one was killed, and after the gateway was started anew.
 */
const folder = mkdtempSync(join(tmpdir(), 'signalbox-vllm-precise-'));
const engines: Vllm[] = [];
let ports: { http: number; events: number; replay: number }[];

const start = (index: number): Promise<Vllm> => {
  const { http, events, replay } = ports[index]!;
  const kvEvents = {
    enable_kv_cache_events: true,
    publisher: 'zmq',
    endpoint: `tcp://*:${events}`,
    replay_endpoint: `tcp://*:${replay}`,
  };
  return startVllm(folder, `vllm-${index}`, http, ['--kv-events-config', JSON.stringify(kvEvents)]);
};

before(async () => {
  makeTinyModel(join(folder, 'tiny'));
  ports = [];
  for (let i = 0; i < 2; i++)
    ports.push({ http: await freePort(), events: await freePort(), replay: await freePort() });
  engines.push(...(await Promise.all([start(0), start(1)])));
});

after(() => engines.forEach((engine) => engine.kill()));

interface Prefixes {
  endpoints: { name: string; knowledge: string; kvEvents: { orphaned: number; unreadable: number } | null }[];
  models: { completions: string; chat: string; verified: boolean }[];
}
interface Decision {
  predicted: { cachedTokens: number };
  outcome: { cachedTokens: number } | null;
}

const urls = (): string[] => engines.map(({ url }) => url);
type Gateway = Awaited<ReturnType<typeof startTestGateway>>;

async function known(gateway: Gateway, withinMs: number): Promise<Prefixes> {
  return eventually('both engines are known by their events', withinMs, async () => {
    const prefixes = await getJson<Prefixes>(`${gateway.adminUrl}/api/prefixes`);
    const isKnown =
      prefixes.endpoints.length === 2 && prefixes.endpoints.every((each) => each.knowledge === 'complete');
    return isKnown && prefixes.models[0]?.chat === 'tokenizer' ? prefixes : null;
  });
}

/** Conversations of several turns, two at a time; how many answers were cached as predicted, of how many. */
async function converse(
  gateway: Gateway,
  name: string,
  users: number,
  turns: number,
): Promise<{ equal: number; of: number }> {
  let equal = 0;
  let of = 0;
  const user = async (number: number): Promise<void> => {
    const messages = [
      { role: 'system', content: `You answer ${name}, in short sentences and to the point. `.repeat(6) },
    ];
    for (let turn = 0; turn < turns; turn++) {
      messages.push({
        role: 'user',
        content: `This is user ${number}, in turn ${turn}: and what comes after that one?`,
      });
      const body = { model: 'tiny', messages, max_tokens: 16, temperature: 0 };
      const response = await postJson(`${gateway.url}/v1/chat/completions`, body);
      assert.equal(response.status, 200);
      const answer = (await response.json()) as { choices: { message: { content: string } }[] };
      messages.push({ role: 'assistant', content: answer.choices[0]!.message.content });
      const id = response.headers.get('x-signalbox-decision')!;
      const decision = await eventually('the outcome', 2_000, async () => {
        const found = await getJson<Decision>(`${gateway.adminUrl}/api/decisions/${id}`);
        return found.outcome === null ? null : found;
      });
      of += 1;
      if (decision.predicted.cachedTokens === decision.outcome!.cachedTokens) equal += 1;
      else {
        const { predicted, outcome } = decision;
        console.log(
          `user ${number} turn ${turn}: ${predicted.cachedTokens} predicted, ${outcome!.cachedTokens} reported`,
        );
      }
    }
  };
  for (let first = 0; first < users; first += 2) await Promise.all([user(first), user(first + 1)]);
  return { equal, of };
}

test('200 requests of many turns: predicted equals reported for at least 99 of 100', async (t) => {
  const gateway = await startTestGateway(t, urls());
  const { models } = await known(gateway, 20_000);
  assert.deepEqual([models[0]!.completions, models[0]!.verified], ['tokenizer', true]);
  const { equal, of } = await converse(gateway, 'the first time', 20, 10);
  console.log(`${equal} of ${of} predicted as reported`);
  assert.equal(of, 200);
  assert.ok(equal >= 198, `${equal} of ${of}`);
  const { endpoints } = await getJson<Prefixes>(`${gateway.adminUrl}/api/prefixes`);
  for (const { kvEvents } of endpoints) assert.deepEqual([kvEvents!.orphaned, kvEvents!.unreadable], [0, 0]);
});

test('the doctor finds nothing to complain about', async () => {
  for (const url of urls()) {
    const { status, stdout, stderr } = await runCommand('./signalbox', ['doctor', '--endpoint', url, '--json']);
    assert.equal(status, 0, stderr + stdout);
    const [report] = JSON.parse(stdout) as { findings: { check: string; result: string }[] }[];
    assert.deepEqual(
      report!.findings.filter(({ result }) => result !== 'ok'),
      [],
    );
    const checks = report!.findings.map(({ check }) => check);
    for (const check of ['version', 'prefix caching', 'replay', 'tokens', 'cached tokens', 'prediction']) {
      assert.ok(checks.includes(check), `${check} of ${checks.join(', ')}`);
    }
  }
});

test('a gateway that starts late, or anew, knows by replay what was cached before', async (t) => {
  const gateway = await startTestGateway(t, urls());
  await known(gateway, 20_000);
  const { equal, of } = await converse(gateway, 'the first time', 2, 3);
  assert.equal(equal, of, 'what the gateway before had sent');
});

test('an engine that was killed and started again is known again within 5 seconds', async (t) => {
  const gateway = await startTestGateway(t, urls());
  await known(gateway, 20_000);
  engines[0]!.kill();
  await eventually('the gateway has noticed', 10_000, async () => {
    const all = await getJson<{ ready: boolean }[]>(`${gateway.adminUrl}/api/endpoints`);
    return all.some(({ ready }) => !ready) ? true : null;
  });
  engines[0] = await start(0); // answers /health
  const beganMs = performance.now();
  await known(gateway, 5_000);
  console.log(`known again ${Math.round(performance.now() - beganMs)} ms after it answered`);
  const { equal, of } = await converse(gateway, 'another time', 6, 5);
  assert.ok(equal >= of * 0.99, `${equal} of ${of}`);
});
