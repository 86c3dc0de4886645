import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import Ajv from 'ajv';
import { repository, temporaryFolder } from '../support/command.ts';
import { model, postJson, startEngine, startStub, startTestGateway, until } from '../support/fleet-under-test.ts';
import { splitPolicy, startSplitEngines } from '../support/split-fleet.ts';

/** The schema as users have it, by a validator that is not ours. */
const schema = JSON.parse(readFileSync(join(repository, 'docs/decision.schema.json'), 'utf8')) as object;
const isDecision = new Ajv({ allErrors: true }).compile(schema);

function valid(decision: unknown, where: string): void {
  assert.ok(isDecision(decision), `${where}: ${JSON.stringify(isDecision.errors)}\n${JSON.stringify(decision)}`);
}

type Gateway = Awaited<ReturnType<typeof startTestGateway>>;
interface Listed {
  readonly id: string;
  readonly outcome: { readonly status: number } | null;
}

const ask = async (gateway: Gateway, number: number, leaves: boolean): Promise<void> => {
  const text = `Question ${number}: which way does the train go? `.repeat(1 + (number % 7) * 5);
  const isChat = number % 2 === 0;
  const prompt = isChat ? { messages: [{ role: 'user', content: text }] } : { prompt: text };
  const body = { model, max_tokens: leaves ? 1000 : 8, stream: leaves || number % 3 > 0, ...prompt };
  const abort = new AbortController();
  const path = `${gateway.url}/v1/${isChat ? 'chat/completions' : 'completions'}`;
  const answer = await postJson(path, body, { signal: abort.signal });
  if (leaves) abort.abort();
  else await answer.text();
};

/** Holds every line of the journal and everything the admin API shows of Decisions against the schema; their statuses. */
async function checkAll(gateway: Gateway, folder: string, requests: number): Promise<Set<number>> {
  let listed: Listed[] = [];
  await until(async () => {
    listed = (await (await fetch(`${gateway.adminUrl}/api/decisions?limit=1000`)).json()) as Listed[];
    return listed.length === requests && listed.every(({ outcome }) => outcome !== null);
  });
  for (const decision of listed) {
    valid(decision, '/api/decisions');
    const one = await fetch(`${gateway.adminUrl}/api/decisions/${decision.id}?flips=1`);
    valid(await one.json(), `/api/decisions/${decision.id}?flips=1`);
  }
  const body = { model, messages: [{ role: 'user', content: 'Where would this go?' }] };
  const explained = await postJson(`${gateway.adminUrl}/api/explain?kind=chat&flips=1`, body);
  valid(await explained.json(), '/api/explain');
  const lines = (): string[] =>
    (existsSync(folder) ? readdirSync(folder) : []).flatMap((name) =>
      readFileSync(join(folder, name), 'utf8').split('\n').filter(Boolean),
    );
  await until(() => lines().length === requests);
  for (const line of lines()) valid(JSON.parse(line), 'the journal');
  assert.deepEqual(
    lines()
      .map((line) => (JSON.parse(line) as Listed).id)
      .sort(),
    listed.map(({ id }) => id).sort(),
  );
  return new Set(listed.map(({ outcome }) => outcome!.status));
}

async function startJournaling(
  t: TestContext,
  endpoints: readonly string[],
  options: Parameters<typeof startTestGateway>[2] = {},
): Promise<{ gateway: Gateway; folder: string }> {
  const folder = join(temporaryFolder(t), 'journal');
  return { gateway: await startTestGateway(t, endpoints, { journalFolder: folder, ...options }), folder };
}

test('what a gateway writes and shows of mixed traffic is as the published schema says', async (t) => {
  const engines = await Promise.all(Array.from({ length: 3 }, () => startEngine(t)));
  const failing = await startStub(t, (_request, response) => response.writeHead(500).end('{"error":"no"}'));
  const { gateway, folder } = await startJournaling(t, [...engines.map(({ url }) => url), failing.url], {
    shadows: ['llm-d-legacy', 'lmetric'],
  });
  const requests = 120;
  let next = 0;
  const user = async (): Promise<void> => {
    while (next < requests - 1) await ask(gateway, next, next++ % 20 === 7);
  };
  await Promise.all(Array.from({ length: 8 }, user));
  const unserved = await postJson(`${gateway.url}/v1/completions`, { model, prompt: 'x', max_tokens: -1 });
  assert.equal(unserved.status, 400);
  await unserved.text();
  const statuses = await checkAll(gateway, folder, requests);
  for (const status of [200, 400, 499]) assert.ok(statuses.has(status), `${status} of ${[...statuses].join()}`);
});

test('so it is where nobody can serve', async (t) => {
  const engine = await startStub(t, (_request, response) => response.writeHead(503).end('{"error":"full"}'));
  const { gateway, folder } = await startJournaling(t, [engine.url]);
  await ask(gateway, 0, false);
  engine.server.closeAllConnections();
  engine.server.close();
  await ask(gateway, 1, false);
  await until(async () => {
    const all = (await (await fetch(`${gateway.adminUrl}/api/endpoints`)).json()) as { ready: boolean }[];
    return all.every(({ ready }) => !ready);
  });
  await ask(gateway, 2, false);
  const statuses = await checkAll(gateway, folder, 3);
  assert.deepEqual([...statuses], [503]);
});

test('and where prefill and decode are apart', async (t) => {
  const { prefill, decode } = await startSplitEngines(t, { prefill: 2, decode: 2 });
  const { gateway, folder } = await startJournaling(t, decode, {
    prefillEndpoints: prefill,
    policy: splitPolicy,
    connector: 'nixlv2',
  });
  for (let number = 0; number < 12; number++) await ask(gateway, number, false);
  assert.deepEqual([...(await checkAll(gateway, folder, 12))], [200]);
});
