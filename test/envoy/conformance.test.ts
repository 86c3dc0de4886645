import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import { Health } from '../epp/wire-client.ts';
import { eventually, temporaryFolder } from '../support/command.ts';
import { model, startStub } from '../support/fleet-under-test.ts';
import { startEnvoy, startFront, type Front } from './front.ts';

/**
 * What the conformance tests of the Gateway API's inference extension demand of an endpoint picker, each against a real
 * Envoy; named as they are there. What they demand of the gateway alone is not ours to show.
 */
type Engine = Awaited<ReturnType<typeof startStub>>;

const selection = 'test-epp-endpoint-selection';
const requests = 30;

function engines(t: TestContext, count: number): Promise<Engine[]> {
  const answering = (): Promise<Engine> =>
    startStub(t, (_request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end('{"choices":[]}');
    });
  return Promise.all(Array.from({ length: count }, answering));
}

async function send(url: string, headers: Record<string, string> = {}): Promise<Response> {
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model, prompt: `prompt ${Math.random()}`, max_tokens: 1 }),
  });
  await response.arrayBuffer();
  return response;
}

/** How many requests each engine gets of `requests` that name these. */
async function spread(front: { readonly url: string }, all: readonly Engine[], selected: string): Promise<number[]> {
  const before = all.map((engine) => engine.requests.length);
  for (let count = 0; count < requests; count++) {
    assert.equal((await send(front.url, { [selection]: selected })).status, 200);
  }
  return all.map((engine, index) => engine.requests.length - before[index]!);
}

const conformant = ['--conformance', '--pool-name', 'primary', '--pool-namespace', 'default', '--zap-encoder', 'json'];

function conformantFront(t: TestContext, all: readonly Engine[], envoy?: readonly string[]): Promise<Front> {
  const urls = all.map(({ url }) => url);
  return startFront(t, urls, { epp: conformant, ...(envoy === undefined ? {} : { envoy }) });
}

test('GatewayFollowingEPPRouting: requests land only on the endpoints that the header names, be they one, two or all', async (t) => {
  const all = await engines(t, 3);
  const front = await conformantFront(t, all);
  for (const named of [all.slice(0, 1), all.slice(1), all]) {
    const got = await spread(front, all, named.map(({ name }) => name).join(','));
    for (const [index, engine] of all.entries()) {
      if (!named.includes(engine)) assert.equal(got[index], 0);
    }
    assert.equal(
      got.reduce((sum, each) => sum + each),
      requests,
    );
  }
});

test('GatewayFollowingEPPRoutingWithDataParallelism: an IP means every port of it, ip:port exactly that one', async (t) => {
  const ranks = await engines(t, 3);
  const front = await conformantFront(t, ranks);
  for (const [index, rank] of ranks.entries()) {
    const got = await spread(front, ranks, rank.name);
    assert.deepEqual(
      got,
      ranks.map((_, at) => (at === index ? requests : 0)),
    );
  }
  const got = await spread(front, ranks, '127.0.0.1');
  assert.equal(
    got.reduce((sum, each) => sum + each),
    requests,
  );
  assert.ok(got.filter((count) => count > 0).length > 1);
});

test('GatewayDestinationEndpointServed: who served is said in x-conformance-test-served-endpoint', async (t) => {
  const all = await engines(t, 2);
  const front = await conformantFront(t, all);
  for (const { name } of all) {
    const response = await send(front.url, { [selection]: name });
    assert.equal(response.headers.get('x-conformance-test-served-endpoint'), name);
  }
});

test('GatewayWeightedAcrossTwoInferencePools: of a list over both pools each keeps to its own endpoints', async (t) => {
  const all = await engines(t, 4);
  const union = all.map(({ name }) => name).join(',');
  for (const own of [all.slice(0, 2), all.slice(2)]) {
    const got = await spread(await conformantFront(t, own), all, union);
    assert.deepEqual(
      all.map((engine, index) => own.includes(engine) || got[index] === 0),
      all.map(() => true),
    );
    assert.equal(
      got.reduce((sum, each) => sum + each),
      requests,
    );
  }
});

test('HTTPRouteMultipleRulesDifferentPools: one EPP with two pools keeps them apart, by the pool that each route names', async (t) => {
  const all = await engines(t, 4);
  const file = join(temporaryFolder(t), 'pools.json');
  const pool = (name: string, own: readonly Engine[]): object => ({ name, endpoints: own.map(({ url }) => url) });
  writeFileSync(file, JSON.stringify({ pools: [pool('a', all.slice(0, 2)), pool('b', all.slice(2))] }));
  const urls = all.map(({ url }) => url);
  const first = await startFront(t, [], {
    epp: ['--conformance', '--pools-file', file],
    envoy: ['--pool', 'a', '--endpoint', ...urls],
  });
  const epp = `127.0.0.1:${first.grpcPort}`;
  const second = { url: await startEnvoy(t, ['--epp', epp, '--pool', 'b', '--endpoint', ...urls]) };
  const union = all.map(({ name }) => name).join(',');
  const toFirst = await spread(first, all, union);
  const toSecond = await spread(second, all, union);
  assert.deepEqual([toFirst[0]! + toFirst[1]!, toFirst[2]! + toFirst[3]!], [requests, 0]);
  assert.deepEqual([toSecond[0]! + toSecond[1]!, toSecond[2]! + toSecond[3]!], [0, requests]);
});

test('EppUnAvailableFailOpen: without its EPP a pool that fails open still serves', async (t) => {
  const all = await engines(t, 2);
  const front = await conformantFront(t, all, ['--fail-open', '--endpoint', ...all.map(({ url }) => url)]);
  assert.equal((await send(front.url)).status, 200);
  await front.stopEpp('SIGKILL');
  await eventually('Envoy knows', 15_000, async () => ((await send(front.url)).status === 200 ? true : null));
  for (let count = 0; count < requests; count++) assert.equal((await send(front.url)).status, 200);
});

test("the picker's pod: its flags are taken, and the probe of inference-extension is answered", async (t) => {
  const front = await conformantFront(t, await engines(t, 1));
  const client = new Health(`127.0.0.1:${front.healthPort}`, credentials.createInsecure());
  t.after(() => client.close());
  const status = await new Promise<string>((resolve, reject) => {
    client.Check({ service: 'inference-extension' }, (error, response) => {
      if (error === null) resolve(response.status);
      else reject(error);
    });
  });
  assert.equal(status, 'SERVING');
});
