import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { KeysJson } from '../../src/admin/json.ts';
import { startGateway } from '../../src/gateway/gateway.ts';
import { hashOf, newKey } from '../../src/keys/secret.ts';
import { DataPlane, requestBody, requestHeaders, startTestEpp } from '../epp/wire-client.ts';
import { eventually, temporaryFolder } from '../support/command.ts';
import { model, postJson, silent, startEngine, startStub, startTestGateway } from '../support/fleet-under-test.ts';

/** A file of keys, each with the rights given for its name, and the keys themselves. */
function keyFile(t: TestContext, rights: Record<string, object>, issuers: readonly object[] = []) {
  const path = join(temporaryFolder(t), 'keys.json');
  const keys = Object.fromEntries(Object.keys(rights).map((name) => [name, newKey()]));
  const entries = Object.entries(rights).map(([name, rest]) => ({ name, hash: hashOf(keys[name]!), ...rest }));
  writeFileSync(path, JSON.stringify({ keys: entries, issuers }));
  return { path, keys };
}

const ask = (url: string, headers: Record<string, string>, body: object = {}): Promise<Response> =>
  postJson(`${url}/v1/completions`, { model, prompt: 'Hello there', max_tokens: 3, ...body }, { headers });
const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` });

async function expectError(response: Response, status: number, code: string): Promise<string> {
  const { error } = (await response.json()) as { error: { code: string; message: string } };
  assert.deepEqual([response.status, error.code], [status, code]);
  return error.message;
}

test('the gateway asks for a key, whichever way clients send it, and keeps it to itself', async (t) => {
  const stub = await startStub(t, (_request, response) => response.end('{"usage":{"prompt_tokens":7}}'));
  const { path, keys } = keyFile(t, { one: {} });
  const gateway = await startTestGateway(t, [stub.url], { keysFile: path });
  const key = keys['one']!;
  for (const headers of [{}, bearer('sk-nobody'), bearer(''), { authorization: key }, { 'x-api-key': `${key}x` }]) {
    const message = await expectError(await ask(gateway.url, headers), 401, 'unauthorized');
    assert.ok(!message.includes(key));
  }
  await expectError(await fetch(`${gateway.url}/v1/models`), 401, 'unauthorized');
  await expectError(await fetch(`${gateway.url}/v1/anything`), 401, 'unauthorized');
  assert.equal((await fetch(`${gateway.url}/readyz`)).status, 200);
  for (const headers of [bearer(key), { authorization: `bearer  ${key}` }, { 'x-api-key': key }, { 'api-key': key }]) {
    assert.equal((await ask(gateway.url, headers)).status, 200);
  }
  assert.equal((await fetch(`${gateway.url}/v1/models`, { headers: bearer(key) })).status, 200);
  // The operator's playground brings none.
  assert.equal((await ask(gateway.adminUrl, {})).status, 200);
  const seen = JSON.stringify(stub.requests);
  assert.ok(stub.requests.length >= 5 && !seen.includes(key) && !seen.includes('api-key'));
});

test('what a key may do: models, requests, tokens, and how much at once', async (t) => {
  const engine = await startEngine(t);
  const { path, keys } = keyFile(t, {
    few: { requestsPerMinute: 2 },
    other: { models: ['another/model'] },
    short: { tokensPerMinute: 20 },
    single: { maxConcurrent: 1 },
  });
  const gateway = await startTestGateway(t, [engine.url], { keysFile: path });
  const by = (name: string, body?: object): Promise<Response> => ask(gateway.url, bearer(keys[name]!), body);
  assert.equal((await by('few')).status, 200);
  assert.equal((await by('few')).status, 200);
  const limited = await by('few');
  assert.ok(Number(limited.headers.get('retry-after')) >= 50, String(limited.headers.get('retry-after')));
  assert.match(await expectError(limited, 429, 'rate_limited'), /"few" has sent its 2 requests/);

  assert.match(await expectError(await by('other'), 403, 'forbidden'), /not for the model "toy\/model"/);
  const models = await fetch(`${gateway.url}/v1/models`, { headers: bearer(keys['other']!) });
  assert.deepEqual(((await models.json()) as { data: unknown[] }).data, []);
  await expectError(
    await fetch(`${gateway.url}/v1/models/${model}`, { headers: bearer(keys['other']!) }),
    404,
    'model_unknown',
  );

  assert.equal((await by('short', { max_tokens: 10 })).status, 200);
  await expectError(await by('short', { max_tokens: 10 }), 429, 'rate_limited');

  const leave = new AbortController();
  const long = await fetch(`${gateway.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...bearer(keys['single']!) },
    body: JSON.stringify({ model, prompt: 'x', max_tokens: 100_000, stream: true, ignore_eos: true }),
    signal: leave.signal,
  });
  assert.equal(long.status, 200);
  await expectError(await by('single'), 429, 'rate_limited');
  leave.abort();
  await eventually('a client that left frees its place', 5000, async () =>
    (await by('single')).status === 200 ? true : null,
  );

  const shown = (await (await fetch(`${gateway.adminUrl}/api/keys`)).json()) as KeysJson;
  const few = shown.keys.find(({ name }) => name === 'few')!;
  assert.deepEqual([few.totals.requests, few.totals.refused], [2, { rate_limited: 1 }]);
  assert.ok(few.totals.promptTokens > 0 && few.totals.completionTokens === 6, JSON.stringify(few));
  assert.ok(!JSON.stringify(shown).includes('sha256'));
  const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  assert.match(metrics, /signalbox_key_requests_total\{key="few"\} 2\n/);
  assert.match(metrics, /signalbox_key_tokens_total\{key="few",kind="completion"\} 6\n/);
  assert.match(metrics, /signalbox_key_refused_total\{key="other",code="forbidden"\} 1\n/);
});

test('a key is a tenant with its own rank, whatever its requests say of themselves', async (t) => {
  const engine = await startEngine(t);
  const { path, keys } = keyFile(t, { gold: { priority: 7 }, plain: {} });
  const gateway = await startTestGateway(t, [engine.url], { keysFile: path });
  const claims = { 'x-llm-d-inference-fairness-id': 'somebody-else', 'x-llm-d-inference-objective': 'gold' };
  await (await ask(gateway.url, { ...bearer(keys['gold']!), ...claims })).text();
  await (await ask(gateway.url, { ...bearer(keys['plain']!), ...claims })).text();
  const decisions = (await (await fetch(`${gateway.adminUrl}/api/decisions?limit=2`)).json()) as {
    admission: { band: string; fairnessId: string };
  }[];
  assert.deepEqual(
    decisions.map(({ admission }) => [admission.fairnessId, admission.band]),
    [
      ['plain', '0'],
      ['gold', '7'],
    ],
  );
});

test('keys come, go and change with their file; a bad file changes nothing', async (t) => {
  const engine = await startEngine(t);
  const { path, keys } = keyFile(t, { one: { requestsPerMinute: 3 } });
  const gateway = await startTestGateway(t, [engine.url], { keysFile: path });
  assert.equal((await ask(gateway.url, bearer(keys['one']!))).status, 200);
  const second = newKey();
  const write = (value: object): Promise<void> => {
    writeFileSync(path, JSON.stringify(value));
    return gateway.reload();
  };
  // The old and the new key of one name count together.
  const both = { name: 'one', hash: [hashOf(keys['one']!), hashOf(second)], requestsPerMinute: 3 };
  await write({ keys: [both] });
  assert.equal((await ask(gateway.url, bearer(second))).status, 200);
  assert.equal((await ask(gateway.url, bearer(keys['one']!))).status, 200);
  await expectError(await ask(gateway.url, bearer(second)), 429, 'rate_limited');
  await assert.rejects(write({ keys: [{ name: 'one', hash: second }] }), /keys\.json:1:\d+: .*not the key itself/);
  await expectError(await ask(gateway.url, bearer(second)), 429, 'rate_limited');
  await write({ keys: [{ name: 'two', hash: hashOf(second), expires: '2020-01-01T00:00:00Z' }] });
  assert.match(await expectError(await ask(gateway.url, bearer(second)), 401, 'unauthorized'), /"two" has expired/);
  await expectError(await ask(gateway.url, bearer(keys['one']!)), 401, 'unauthorized');
});

test('a gateway that strangers can reach asks for keys, unless it is told not to', async () => {
  const options = { host: '0.0.0.0', port: 0, adminPort: 0, policy: { environment: {} }, log: silent };
  await assert.rejects(startGateway(options), { code: 'usage', message: /--keys-file.*--no-keys/ });
  const gateway = await startGateway({ ...options, isOpen: true, adminHost: '127.0.0.1' });
  await gateway.close(0);
});

test('JSON web tokens of an issuer are taken, forged and stale ones are not', async (t) => {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'a', alg: 'ES256' };
  let asked = 0;
  const server = createServer((request, response) => {
    asked += 1;
    const answers: Record<string, object> = {
      '/.well-known/openid-configuration': { issuer, jwks_uri: `${issuer}/jwks` },
      '/jwks': { keys: [jwk] },
    };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(answers[request.url ?? ''] ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const engine = await startEngine(t);
  const { path, keys } = keyFile(t, { one: {} }, [{ issuer, audience: 'box', requestsPerMinute: 2 }]);
  const gateway = await startTestGateway(t, [engine.url], { keysFile: path });
  const token = (claims: Record<string, unknown>, from = issuer, signer = privateKey, alg = 'ES256') =>
    new SignJWT({ sub: 'ada', aud: 'box', exp: Math.floor(Date.now() / 1000) + 60, ...claims })
      .setProtectedHeader({ alg, kid: 'a' })
      .setIssuer(from)
      .sign(signer);
  const good = await token({});
  assert.equal((await ask(gateway.url, bearer(good))).status, 200);
  const before = asked;
  assert.equal((await ask(gateway.url, bearer(await token({ jti: 'another' })))).status, 200);
  assert.equal(asked, before, 'the keys are asked for once');
  await expectError(await ask(gateway.url, bearer(good)), 429, 'rate_limited');
  assert.equal((await ask(gateway.url, bearer(keys['one']!))).status, 200);

  const refused = async (jwt: string, reason: RegExp): Promise<void> =>
    assert.match(await expectError(await ask(gateway.url, bearer(jwt)), 401, 'unauthorized'), reason);
  await refused(await token({ aud: 'elsewhere', sub: 'eve' }), /"aud" is not accepted/);
  await refused(await token({ exp: 1, sub: 'eve' }), /expired/);
  await refused(await token({ sub: 7 }), /no "sub"/);
  await refused(await token({ sub: 'eve' }, 'http://169.254.169.254'), /none of the issuers/);
  await refused(await token({ sub: 'eve' }, issuer, (await generateKeyPair('ES256')).privateKey), /signature/);
  const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${good.split('.')[1]}.`;
  await refused(unsigned, /signature or form/);
  await refused('a.b.c', /none of the issuers/);
  assert.equal((await ask(gateway.url, bearer(await token({ sub: 'bob' })))).status, 200);
});

test('an endpoint picker asks for keys as the gateway does', async (t) => {
  const stub = await startStub(t, (_request, response) => response.end());
  const { path, keys } = keyFile(t, { one: { requestsPerMinute: 1 } });
  const epp = await startTestEpp(t, [stub.url], { keysFile: path });
  const body = JSON.stringify({ model, prompt: 'x' });
  const send = async (headers: Record<string, string>): Promise<Record<string, unknown>> => {
    const plane = new DataPlane(t, epp.address);
    plane.send(requestHeaders(headers), requestBody(body));
    return plane.next();
  };
  const statusOf = (message: Record<string, unknown>): unknown =>
    (message['immediate_response'] as { status: { code: unknown } }).status.code;
  assert.equal(statusOf(await send({})), 401);
  const placed = await send(bearer(keys['one']!));
  const { response } = placed['request_headers'] as { response: { header_mutation: { remove_headers: string[] } } };
  assert.ok(response.header_mutation.remove_headers.includes('authorization'));
  assert.equal(statusOf(await send(bearer(keys['one']!))), 429);
});
