import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { hashOf, newKey } from '../../src/keys/secret.ts';
import { eventually, freePort, repository, temporaryFolder } from '../support/command.ts';
import { model, postJson, startStub } from '../support/fleet-under-test.ts';

/** Everything below a folder, as text. */
function textBelow(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'utf8'))
    .join('\n');
}

test('after a run full of secrets none is found in anything that comes out', async (t) => {
  const folder = temporaryFolder(t);
  const inside = temporaryFolder(t);
  const key = newKey();
  const secret = (name: string): string => `hush-${name}-3f9a1c`;
  const [keysFile, tokenFile] = [join(inside, 'keys.json'), join(inside, 'token')];
  writeFileSync(keysFile, JSON.stringify({ keys: [{ name: 'team', hash: hashOf(key), requestsPerMinute: 40 }] }));
  writeFileSync(tokenFile, secret('admin-token'));

  let traces = '';
  const collector = createServer((request, response) => {
    request.setEncoding('utf8').on('data', (text: string) => (traces += text));
    request.on('end', () => response.end('{}'));
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    collector.closeAllConnections();
    collector.close();
  });

  // One engine fails, so that errors are told as well.
  const engine = await startStub(t, (_request, response) =>
    response.end(JSON.stringify({ choices: [{ text: secret('answer') }], usage: { prompt_tokens: 5 } })),
  );
  const failing = await startStub(t, (request) => request.socket.destroy());
  const [port, adminPort] = [await freePort(), await freePort()];
  const { port: tracePort } = collector.address() as AddressInfo;
  const child = spawn(
    join(repository, 'signalbox'),
    [
      ...['gateway', '--port', String(port), '--admin-port', String(adminPort), '--endpoint', engine.url, failing.url],
      ...['--keys-file', keysFile, '--admin-token-file', tokenFile, '-v', '5'],
      ...['--epp-log', join(folder, 'epp.log'), '--journal', join(folder, 'journal')],
    ],
    {
      cwd: repository,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${tracePort}`,
        OTEL_EXPORTER_OTLP_HEADERS: `authorization=${secret('collector')}`,
        OTEL_BSP_SCHEDULE_DELAY: '100',
        SIGNALBOX_SHARE: `redis://:${secret('redis-password')}@127.0.0.1:${await freePort()}`,
      },
    },
  );
  t.after(() => child.kill('SIGKILL'));
  let told = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (told += text));
  const admin = { headers: { authorization: `Bearer ${secret('admin-token')}` } };
  const url = `http://127.0.0.1:${port}`;
  const adminUrl = `http://127.0.0.1:${adminPort}`;
  await eventually('it is ready', 60_000, async () => {
    const listed = await fetch(`${adminUrl}/api/endpoints`, admin).then(
      (answer) => answer.json(),
      () => [],
    );
    return (listed as { ready: boolean }[]).filter(({ ready }) => ready).length === 2 ? true : null;
  });

  const headers: Record<string, string> = {
    'x-session-token': secret('session'),
    cookie: `id=${secret('cookie')}`,
    'x-custom-api-key': secret('custom-key'),
    'x-vendor-token': secret('vendor-token'),
    'x-hook-secret': secret('hook'),
    'proxy-authorization': `Basic ${secret('proxy')}`,
  };
  const ask = async (body: unknown, authorization: string, path = '/v1/chat/completions'): Promise<void> => {
    const answer = await postJson(url + path, body, { headers: { ...headers, authorization } });
    for (const [name, value] of answer.headers) told += `${name}: ${value}\n`;
    const text = await answer.text();
    if (answer.status >= 400) told += text;
  };
  const chat = { model, messages: [{ role: 'user', content: secret('prompt').repeat(30) }], user: secret('user') };
  for (let at = 0; at < 12; at++) await ask({ ...chat, at }, `Bearer ${key}`);
  for (const authorization of [
    `Bearer ${secret('wrong-key')}`,
    `Bearer ${key}${secret('tail')}`,
    secret('no-scheme'),
  ]) {
    await ask(chat, authorization);
  }
  await ask({ ...chat, model: 'no/such' }, `Bearer ${key}`);
  await ask(`{"model":"${model}","prompt":"${secret('prompt')}`, `Bearer ${key}`, '/v1/completions');
  for (let at = 0; at < 40; at++) await ask(chat, `Bearer ${key}`, `/v1/other?key=${secret('query')}`);
  writeFileSync(keysFile, JSON.stringify({ keys: [{ name: 'team', hash: secret('not-a-hash') }] }));
  told += await (await fetch(`${adminUrl}/api/reload`, { ...admin, method: 'POST' })).text();

  const paths = ['endpoints', 'decisions?limit=1000', 'prefixes', 'policies', 'shadow', 'keys', 'sharing', 'admission'];
  for (const path of [...paths.map((name) => `/api/${name}`), '/api/series', '/metrics']) {
    const answer = await fetch(adminUrl + path, admin);
    assert.equal(answer.status, 200, path);
    told += await answer.text();
  }
  const explained = { ...admin, headers: { ...admin.headers, ...headers } };
  told += await (await postJson(`${adminUrl}/api/explain?flips=1`, chat, explained)).text();
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;

  const files = textBelow(folder);
  for (const [where, text] of Object.entries({ told, files, traces })) {
    assert.ok(text.length > 1000, `${where} has ${text.length} characters: nothing was searched`);
    const found = /.{0,80}(hush-|sha256:).{0,40}/.exec(text);
    assert.equal(found, null, `${where}: ${found?.[0]}`);
    assert.ok(!text.includes(key), where);
    // Not the hash either: whoever has it knows which key to look for.
    assert.ok(!text.includes(hashOf(key).slice(7)), where);
  }
  assert.match(told, /signalbox_key_requests_total\{key="team"\}/);
});
