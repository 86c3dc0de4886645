import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { hashOf, newKey } from '../../src/keys/secret.ts';
import { eventually, temporaryFolder } from '../support/command.ts';
import { model, postJson, startEngine, startTestGateway } from '../support/fleet-under-test.ts';
import { openBrowser, watchedPage } from './browser.ts';

const patienceMs = 30_000;
let browser: Browser;

before(async () => {
  browser = await openBrowser();
});
after(() => browser.close());

test('what each key may use and has used, filtered by name; where nobody is asked, how to ask', async (t) => {
  const engine = await startEngine(t);
  const keysFile = join(temporaryFolder(t), 'keys.json');
  const [few, idle, old] = [newKey(), newKey(), newKey()];
  const keys = [
    { name: 'few', hash: hashOf(few), requestsPerMinute: 2, priority: 5, models: [model] },
    { name: 'idle', hash: hashOf(idle) },
    { name: 'old', hash: hashOf(old), expires: '2020-01-01T00:00:00Z' },
  ];
  writeFileSync(keysFile, JSON.stringify({ keys }));
  const gateway = await startTestGateway(t, [engine.url], { keysFile });
  const body = { model, prompt: 'Hello there', max_tokens: 3 };
  const headers = { authorization: `Bearer ${few}` };
  const statuses: number[] = [];
  for (let sent = 0; sent < 3; sent++) {
    const answer = await postJson(`${gateway.url}/v1/completions`, body, { headers });
    await answer.text();
    statuses.push(answer.status);
  }
  assert.deepEqual(statuses, [200, 200, 429]);

  const { page, assertClean } = await watchedPage(browser);
  await page.goto(gateway.adminUrl);
  await page.keyboard.press('6');
  const cells = page.locator('[data-key="few"] > *');
  await cells.first().waitFor({ timeout: patienceMs });
  assert.equal(new URL(page.url()).pathname, '/keys');
  const [name, requestsNow, , atOnce, requests, refused, , , output, goesAs, models] = await cells.allInnerTexts();
  assert.match(requestsNow!, /^2 of 2\s/);
  assert.deepEqual(
    [name!.trim(), atOnce, requests, refused, output, goesAs, models],
    ['few', '0', '2', '1', '6', 'priority 5', model],
  );
  assert.match(await page.locator('[data-key="old"] th').innerText(), /expired/);
  assert.match(await page.locator('[data-key="idle"]').innerText(), /never$/);
  assert.ok(!(await page.content()).includes('sha256'));
  await page.keyboard.press('/');
  await page.keyboard.type('FEW');
  await eventually('only what the filter lets through', patienceMs, async () =>
    (await page.locator('[data-key]').count()) === 1 ? true : null,
  );
  assert.equal(await page.locator('[role=search] [role=status]').innerText(), '1 key');
  assertClean();

  const open = await startTestGateway(t, [engine.url], {});
  const other = await watchedPage(browser);
  await other.page.goto(`${open.adminUrl}/keys`);
  await other.page.locator('.empty', { hasText: '--keys-file' }).waitFor({ timeout: patienceMs });
  other.assertClean();
});
