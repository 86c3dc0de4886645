import assert from 'node:assert/strict';
import { brotliDecompressSync } from 'node:zlib';
import { request, type IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { model, postJson, startEngine, startStub, startTestGateway } from '../support/fleet-under-test.ts';

/** As a browser gets it, compressed. */
function get(url: string): Promise<{ head: IncomingMessage; body: Buffer }> {
  return new Promise((resolve, reject) => {
    request(url, { headers: { 'accept-encoding': 'gzip, deflate, br' } }, (head) => {
      const chunks: Buffer[] = [];
      head.on('data', (chunk: Buffer) => chunks.push(chunk));
      head.on('end', () => resolve({ head, body: Buffer.concat(chunks) }));
    })
      .on('error', reject)
      .end();
  });
}

test('serves the console: small, nothing from elsewhere, each page at its own address', async (t) => {
  const gateway = await startTestGateway(t, [(await startEngine(t)).url]);
  const { head, body } = await get(`${gateway.adminUrl}/`);
  assert.equal(head.statusCode, 200);
  assert.equal(head.headers['content-encoding'], 'br');
  assert.match(String(head.headers['content-security-policy']), /default-src 'none'; script-src 'self'/);
  const page = brotliDecompressSync(body).toString();
  assert.doesNotMatch(page, /<script>|<style>|https?:/);

  const assets = [...page.matchAll(/"(\/assets\/[^"]+)"/g)].map(([, path]) => path!);
  assert.equal(assets.length, 2);
  let bytes = body.length;
  for (const path of assets) {
    const asset = await get(gateway.adminUrl + path);
    assert.equal(asset.head.statusCode, 200, path);
    assert.match(String(asset.head.headers['cache-control']), /immutable/);
    bytes += asset.body.length;
  }
  assert.ok(bytes < 150_000, `the first page takes ${bytes} bytes`);

  for (const path of ['/decisions', '/requests/some-id', '/prefixes', '/compare', '/playground']) {
    assert.deepEqual((await get(gateway.adminUrl + path)).body, body, path);
  }
  assert.equal((await get(`${gateway.adminUrl}/assets/none.js`)).head.statusCode, 404);
  assert.equal((await get(`${gateway.adminUrl}/assets/..%2f..%2fpackage.json`)).head.statusCode, 404);
});

test('the playground is served as every client is, and no other page can use it', async (t) => {
  const gateway = await startTestGateway(t, [(await startEngine(t)).url]);
  const body = { model, prompt: 'x', max_tokens: 2 };
  const answer = await postJson(`${gateway.adminUrl}/v1/completions`, body);
  assert.equal(answer.status, 200);
  assert.ok(answer.headers.get('x-signalbox-decision'));
  const models = (await (await fetch(`${gateway.adminUrl}/v1/models`)).json()) as { data: { id: string }[] };
  assert.deepEqual(
    models.data.map(({ id }) => id),
    [model],
  );
  const elsewhere = await postJson(`${gateway.adminUrl}/v1/completions`, body, {
    headers: { origin: 'http://evil.example' },
  });
  assert.equal(elsewhere.status, 400);
});

test('a row says when an answer has begun', async (t) => {
  let end = (): void => undefined;
  const engine = await startStub(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: {"choices":[{"index":0,"text":"a"}]}\n\n');
    end = () => response.end('data: [DONE]\n\n');
  });
  const gateway = await startTestGateway(t, [engine.url]);
  const events = await fetch(`${gateway.adminUrl}/api/events`);
  const reader = events.body!.pipeThrough(new TextDecoderStream()).getReader();
  const told = async (what: string): Promise<void> => {
    for (let text = ''; !text.includes(what);) text += (await reader.read()).value ?? '';
  };
  const answer = await postJson(`${gateway.url}/v1/completions`, { model, prompt: 'x', stream: true });
  await told('"answering":true');
  const rows = async (): Promise<{ answering: boolean; status: number | null }[]> =>
    (await (await fetch(`${gateway.adminUrl}/api/decisions?brief=1`)).json()) as never;
  assert.deepEqual(
    (await rows()).map(({ answering, status }) => [answering, status]),
    [[true, null]],
  );
  end();
  await answer.text();
  await told('"answering":false');
  assert.deepEqual(
    (await rows()).map(({ answering, status }) => [answering, status]),
    [[false, 200]],
  );
  await reader.cancel();
});
