import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { postJson, startStub, startTestGateway, until } from '../support/fleet-under-test.ts';
import { launchOptions } from './browser.ts';

/** As long as a model's name may be: events of some size fill a connection sooner. */
const longName = 'm'.repeat(2000);

/** The processes that `root` started, and those that they did. */
function processesBelow(root: number): number[] {
  const parents = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0)
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        return [[pid, Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])] as const];
      } catch {
        return []; // it has ended
      }
    });
  const below = [root];
  for (const pid of below) below.push(...parents.filter(([, parent]) => parent === pid).map(([child]) => child));
  return below;
}

test('a browser that stands still costs bounded memory, is let go, harms no request and no other listener, and comes back', async (t) => {
  const event = `data: ${JSON.stringify({ choices: [{ index: 0, text: 'a' }] })}\n\ndata: [DONE]\n\n`;
  const engine = await startStub(
    t,
    (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(event);
    },
    [],
    longName,
  );
  const gateway = await startTestGateway(t, [engine.url]);
  const server = await chromium.launchServer(launchOptions());
  t.after(() => server.close());
  const page = await (await chromium.connect(server.wsEndpoint())).newPage();
  await page.goto(gateway.adminUrl);
  await page.locator('.status', { hasText: 'live' }).waitFor();

  const leaving = new AbortController();
  t.after(() => leaving.abort());
  const other = await fetch(`${gateway.adminUrl}/api/events`, { signal: leaving.signal });
  let heardBytes = 0;
  const hear = async (): Promise<void> => {
    for await (const part of other.body!) heardBytes += (part as Uint8Array).byteLength;
  };
  hear().catch(() => undefined);
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)![1]);
  };
  await until(async () => (await metric('signalbox_event_listeners')) === 2);

  const stopped = processesBelow(server.process().pid!);
  const signal = (name: 'SIGSTOP' | 'SIGCONT'): void => {
    for (const pid of stopped) process.kill(pid, name);
  };
  signal('SIGSTOP');
  let goesOn = true;
  t.after(() => {
    if (!goesOn) return;
    goesOn = false;
    signal('SIGCONT');
  });
  const statuses = new Map<number, number>();
  let mostBacklogBytes = 0;
  const ask = async (): Promise<void> => {
    while (goesOn) {
      const answer = await postJson(`${gateway.url}/v1/completions`, { model: longName, prompt: 'x', stream: true });
      await answer.text();
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
    }
  };
  const users = Array.from({ length: 4 }, ask);
  await until(async () => {
    mostBacklogBytes = Math.max(mostBacklogBytes, await metric('signalbox_event_backlog_bytes'));
    return (await metric('signalbox_event_listeners_let_go_total')) === 1;
  });
  goesOn = false;
  await Promise.all(users);
  assert.deepEqual([...statuses.keys()], [200], 'every request was answered');
  assert.ok(statuses.get(200)! > 100);
  assert.ok(mostBacklogBytes > 0 && mostBacklogBytes < 1024 * 1024, `${mostBacklogBytes} bytes waited to be read`);
  assert.ok((await metric('signalbox_event_missed_total')) > 0);
  assert.equal(await metric('signalbox_event_listeners'), 1);
  const before = heardBytes;
  await postJson(`${gateway.url}/v1/completions`, { model: longName, prompt: 'x' });
  await until(() => heardBytes > before);

  signal('SIGCONT');
  await until(async () => (await metric('signalbox_event_listeners')) === 2);
  await page.locator('.status', { hasText: 'live' }).waitFor();
});
