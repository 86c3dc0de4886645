import assert from 'node:assert/strict';
import { test } from 'node:test';
import { model, postJson, startStub, startTestGateway, until } from '../support/fleet-under-test.ts';

const ok = JSON.stringify({ object: 'text_completion', choices: [{ text: 'fine' }] });
const body = { model, prompt: 'x', max_tokens: 4 };

interface EndpointJson {
  ready: boolean;
  inFlight: number;
}

async function endpoints(adminUrl: string): Promise<EndpointJson[]> {
  return (await (await fetch(`${adminUrl}/api/endpoints`)).json()) as EndpointJson[];
}

const timeouts = { 'x-request-timeout': '0.6', 'x-envoy-expected-rq-timeout-ms': '600', 'x-stainless-timeout': '0.6' };
for (const [name, value] of Object.entries(timeouts)) {
  test(`nothing is tried for longer than ${name} says, and it is not the endpoint's fault`, async (t) => {
    let left = 0;
    const stubs = await Promise.all(
      [0, 1].map(() => startStub(t, (_request, response) => response.on('close', () => (left += 1)))),
    );
    const gateway = await startTestGateway(
      t,
      stubs.map(({ url }) => url),
    );
    for (let times = 1; times <= 3; times++) {
      const response = await postJson(`${gateway.url}/v1/completions`, body, { headers: { [name]: value } });
      assert.equal(response.status, 504);
      assert.match(await response.text(), /"code":"endpoint_timeout".*0\.6 s|0\.6 s.*"code":"endpoint_timeout"/);
      assert.equal(stubs[0]!.requests.length + stubs[1]!.requests.length, times, 'it was not tried elsewhere');
      await until(() => left === times);
    }
    assert.ok((await endpoints(gateway.adminUrl)).every(({ ready, inFlight }) => ready && inFlight === 0));
  });
}

test('past its time a request that fails is not tried again; before it is', async (t) => {
  let delayMs = 900;
  const bad = await startStub(t, (_request, response) => {
    setTimeout(() => response.writeHead(500).end('{"error":"no"}'), delayMs);
  });
  const good = await startStub(t, (_request, response) => response.end(ok));
  const policy = { environment: { ENABLE_LOAD_AWARE_SCORER: 'true' } };
  const gateway = await startTestGateway(t, [bad.url, good.url], { policy });
  const ask = async (seconds: number): Promise<number> => {
    const asked = bad.requests.length;
    for (;;) {
      const headers = { 'x-request-timeout': `${seconds}` };
      const { status } = await postJson(`${gateway.url}/v1/completions`, body, { headers });
      if (bad.requests.length > asked) return status;
    }
  };
  assert.equal(await ask(0.5), 504);
  delayMs = 1;
  assert.equal(await ask(60), 200);
});

test('a timeout that is none is said', async (t) => {
  const stub = await startStub(t, (_request, response) => response.end(ok));
  const gateway = await startTestGateway(t, [stub.url]);
  const response = await postJson(`${gateway.url}/v1/completions`, body, { headers: { 'x-request-timeout': 'soon' } });
  assert.equal(response.status, 400);
  assert.match(await response.text(), /x-request-timeout must be a number of seconds/);
});
