import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../src/base/random.ts';
import { startEngineServer, type EngineServer } from '../../src/engine/server/engine-server.ts';
import { model, postJson, startTestGateway, until } from '../support/fleet-under-test.ts';
import { leasesAt, splitPolicy } from '../support/split-fleet.ts';

const requests = 500;
const kills = 8;

/** An engine that can be killed, and comes back on its port. */
class Mortal {
  readonly #server: { now: EngineServer };

  private constructor(server: EngineServer) {
    this.#server = { now: server };
  }

  static async start(t: TestContext): Promise<Mortal> {
    const mortal = new Mortal(await Mortal.#serve(0));
    t.after(() => mortal.#server.now.close());
    return mortal;
  }

  static #serve(port: number): Promise<EngineServer> {
    // Unused caches are let go soon, so that the test need not wait for vLLM's 30 s.
    return startEngineServer({ model, port, timeScale: 20, kvTransfer: { leaseSeconds: 2 } });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.now.port}`;
  }

  async dieAndReturn(awayMs: number): Promise<void> {
    const { port } = this.#server.now;
    await this.#server.now.close();
    await sleep(awayMs);
    this.#server.now = await Mortal.#serve(port);
  }
}

/** How a request ended: in full, or with one error that says what happened. Anything else throws. */
async function ending(url: string, number: number): Promise<'whole' | 'error'> {
  const stream = number % 2 === 0;
  const prompt = `Request ${number} has a prompt of its own. ${'It is long enough to be split. '.repeat(10)}`;
  const body = {
    model,
    prompt,
    max_tokens: 20,
    ignore_eos: true,
    stream,
    stream_options: stream ? { include_usage: true } : undefined,
  };
  const response = await postJson(`${url}/v1/completions`, body, { signal: AbortSignal.timeout(60_000) });
  const text = await response.text();
  if (response.status !== 200) {
    assert.ok(response.status >= 429, text);
    assert.ok((JSON.parse(text) as { error: { message: string } }).error.message.length > 10);
    return 'error';
  }
  if (!stream) {
    assert.equal((JSON.parse(text) as { usage: { completion_tokens: number } }).usage.completion_tokens, 20);
    return 'whole';
  }
  const errors = text.split('data: {"error"').length - 1;
  assert.ok(text.trimEnd().endsWith('data: [DONE]'), text.slice(-300));
  if (errors > 0) {
    assert.equal(errors, 1, text);
    return 'error';
  }
  assert.match(text, /"finish_reason":"length"/);
  return 'whole';
}

test('five hundred at once while engines of both kinds die: each ends in full or with one error, and nothing is left', async (t) => {
  const prefill = await Promise.all([1, 2, 3].map(() => Mortal.start(t)));
  const decode = await Promise.all([1, 2, 3].map(() => Mortal.start(t)));
  const gateway = await startTestGateway(
    t,
    decode.map(({ url }) => url),
    { prefillEndpoints: prefill.map(({ url }) => url), connector: 'nixlv2', policy: splitPolicy },
  );
  const random = seededRandom(7);
  const all = [...prefill, ...decode];
  let over = false;
  const killing = (async (): Promise<void> => {
    for (let count = 0; count < kills && !over; count++) {
      await sleep(150);
      await all[random.below(all.length)]!.dieAndReturn(100);
    }
  })();
  const endings = await Promise.all(Array.from({ length: requests }, (_, number) => ending(gateway.url, number)));
  over = true;
  await killing;
  const whole = endings.filter((each) => each === 'whole').length;
  t.diagnostic(`${whole} of ${requests} in full`);
  assert.ok(whole > requests / 2, `${whole} in full`);

  for (const { url } of all) await until(async () => (await leasesAt(url)) === 0);
  await until(async () => {
    const listed = (await (await fetch(`${gateway.adminUrl}/api/endpoints`)).json()) as Record<string, number>[];
    return listed.every(({ inFlight, queuedPrefillTokens }) => inFlight === 0 && queuedPrefillTokens === 0);
  });
  assert.equal(await ending(gateway.url, requests), 'whole', 'and it goes on');
});
