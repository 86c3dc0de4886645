import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import type { DecisionJson, DecisionRowJson, EndpointJson, PrefixesJson, ShadowJson } from '../../src/admin/json.ts';
import { eventually } from '../support/command.ts';
import { complete, getJson, startStack, type TestStack } from '../support/stack.ts';
import { prompt1, prompt2, walkthroughModel } from '../support/walkthrough-prompts.ts';
import { openBrowser, watchedPage } from './browser.ts';

const patienceMs = 30_000;
let browser: Browser;

before(async () => {
  browser = await openBrowser();
});
after(() => browser.close());

/** The walkthrough's stack with a few requests through it. */
async function servedStack(t: Parameters<typeof startStack>[0], requests: number): Promise<TestStack> {
  const stack = await startStack(t, ['./signalbox'], []);
  const load = await stack.signalbox('load', '--users', '4', '--requests', String(requests), '--json');
  assert.equal(load.status, 0, load.stderr);
  return stack;
}

function textOf(page: Page, selector: string): Promise<string> {
  return page.locator(selector).first().innerText({ timeout: patienceMs });
}

test('each page opens, under load lives, and its numbers are the API’s', async (t) => {
  const stack = await startStack(t, ['./signalbox'], []);
  const { page, assertClean } = await watchedPage(browser);
  await page.goto(stack.adminUrl);
  await page.locator('.yard-row[data-endpoint]').nth(1).waitFor({ timeout: patienceMs });

  // Live: nothing is loaded again, and what comes is shown. The load goes on until it has been.
  let seen = false;
  const load = (async (): Promise<void> => {
    do {
      const { status, stderr } = await stack.signalbox('load', '--users', '4', '--requests', '40', '--json');
      assert.equal(status, 0, stderr);
    } while (!seen);
  })();
  await page.locator('.latest li').first().waitFor({ timeout: patienceMs });
  await eventually('requests at once are drawn', patienceMs, async () =>
    Number(await textOf(page, '[data-total="in-flight"] dd')) > 0 ? true : null,
  );
  await page.locator('.chart .uplot').first().waitFor({ timeout: patienceMs });
  seen = true;
  await load;

  const endpoints = await getJson<EndpointJson[]>(`${stack.adminUrl}/api/endpoints`);
  const answered = endpoints.reduce((sum, { totals }) => sum + totals.requests - totals.failed, 0);
  assert.ok(answered >= 40);
  await eventually('the totals are shown', patienceMs, async () =>
    (await textOf(page, '[data-total="answered"] dd')).startsWith(`${answered} `) ? true : null,
  );
  assert.equal(await textOf(page, '[data-total="in-flight"] dd'), '0');
  for (const { name, totals, kvUsage, queuedPrefillTokens } of endpoints) {
    const row = page.locator(`.yard-row[data-endpoint="${name}"]`);
    assert.match(await row.locator('[data-label="requests"]').innerText(), new RegExp(`^${totals.requests}\\D`));
    assert.equal(await row.locator('[data-label="queued"]').innerText(), String(queuedPrefillTokens));
    assert.equal((await row.locator('[data-label="KV"]').innerText()) === '?', kvUsage === null);
  }

  const rows = await getJson<DecisionRowJson[]>(`${stack.adminUrl}/api/decisions?brief=1&limit=1000`);
  await page.keyboard.press('2');
  await page.waitForURL('**/decisions');
  await eventually('every decision is counted', patienceMs, async () =>
    (await textOf(page, '.counts span')) === `${rows.length} of ${rows.length}` ? true : null,
  );
  for (const row of rows.slice(0, 10)) {
    const shown = page.locator(`.decision[data-id="${row.id}"]`);
    await shown.locator('.chip', { hasText: String(row.status) }).waitFor({ timeout: patienceMs });
    assert.ok((await shown.locator('.why').innerText()).endsWith(row.reason));
  }

  const id = rows.find(({ ttftSeconds }) => ttftSeconds !== null)!.id;
  await page.goto(`${stack.adminUrl}/requests/${id}`);
  await page.locator('.scores').first().waitFor({ timeout: patienceMs });
  const decision = await getJson<DecisionJson>(`${stack.adminUrl}/api/decisions/${id}?flips=1`);
  const [profile] = decision.profiles;
  for (const [endpoint, total] of Object.entries(profile!.totals)) {
    const bar = page.locator('.bars tr', { has: page.locator(`[title="${endpoint}"]`) });
    assert.equal(await bar.locator('td.number').innerText(), total.toFixed(3));
  }
  assert.equal(await page.locator('.scores .picked .endpoint').getAttribute('title'), decision.picked);
  assert.equal(await page.locator('.flips tr').count(), flipsOf(decision));
  const [json] = await Promise.all([
    page.waitForResponse((response) => response.url().includes('/api/decisions/') && response.ok()),
    page.locator('a', { hasText: 'JSON' }).click(),
  ]);
  assert.deepEqual(await json.json(), decision);

  await page.goto(`${stack.adminUrl}/prefixes`);
  const cache = (await getJson<PrefixesJson>(`${stack.adminUrl}/api/prefixes`)).endpoints[0]!;
  const tokens = page.locator(`[data-cache="${cache.name}"] td.number`).first();
  assert.equal(await tokens.innerText({ timeout: patienceMs }), cache.tokens.toLocaleString('en'));
  await page.locator('.map .column').first().waitFor({ timeout: patienceMs });
  await page.keyboard.press('ArrowRight');
  await page.locator('.chosen-prefix', { hasText: 'asked for' }).waitFor({ timeout: patienceMs });
  const widthOf = (): Promise<number> =>
    page.locator('.map .chosen .column').evaluate((column) => column.getBoundingClientRect().width);
  const width = await widthOf();
  await page.keyboard.press('+');
  await eventually('zoomed in', patienceMs, async () => ((await widthOf()) > width ? true : null));

  const [shadow] = (await getJson<ShadowJson>(`${stack.adminUrl}/api/shadow`)).policies;
  await page.goto(`${stack.adminUrl}/compare`);
  assert.ok(shadow!.compared > 0);
  assert.match(await textOf(page, '.shadow .totals small'), new RegExp(`^of ${shadow!.compared}$`));

  for (const path of ['/prefixes', '/compare', '/playground']) {
    await page.goto(stack.adminUrl + path);
    await page.locator('main > *').first().waitFor({ timeout: patienceMs });
    await page.locator('.status', { hasText: 'live' }).waitFor({ timeout: patienceMs });
  }
  assertClean();
});

function flipsOf({ flips }: DecisionJson): number {
  return flips!.profiles.flatMap((profile) => profile.flips).filter(({ to }) => to !== null).length;
}

test('the keyboard alone is enough: pages, choosing, opening, filters, pausing, help, theme', async (t) => {
  const stack = await servedStack(t, 12);
  const { page, assertClean } = await watchedPage(browser);
  await page.goto(`${stack.adminUrl}/decisions`);
  await page.locator('.decision[data-id]').nth(3).waitFor({ timeout: patienceMs });
  const ids = await page
    .locator('.decision[data-id]')
    .evaluateAll((rows) => rows.map((row) => row.getAttribute('data-id')));

  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('k');
  await page.locator(`.decision.selected[data-id="${ids[1]}"]`).waitFor({ timeout: patienceMs });
  await page.keyboard.press('Enter');
  await page.waitForURL(`**/requests/${ids[1]}`);
  await page.locator('.timeline').waitFor({ timeout: patienceMs });
  await page.keyboard.press('j'); // the one before in time is the one below
  await page.waitForURL(`**/requests/${ids[2]}`);
  await page.keyboard.press('Escape');
  await page.waitForURL('**/decisions*');
  await page.locator('.filters input').first().waitFor({ timeout: patienceMs });

  await page.keyboard.press('/');
  await page.keyboard.type(ids[0]!);
  await eventually('the text filters', patienceMs, async () =>
    (await page.locator('.decision[data-id]').count()) === 1 ? true : null,
  );
  await page.waitForURL((url) => url.searchParams.get('text') === ids[0]);
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await page.keyboard.press('f');
  await page.locator('.empty', { hasText: 'No decision is like that' }).waitFor({ timeout: patienceMs });
  await page.waitForURL((url) => url.searchParams.get('verdict') === 'failed');
  await page.reload();
  await page.locator('.empty', { hasText: 'No decision is like that' }).waitFor({ timeout: patienceMs });
  await page.keyboard.press('f');

  await page.locator('.decision[data-id]').first().waitFor({ timeout: patienceMs });
  await page.keyboard.press('p');
  await complete(stack.url, walkthroughModel, prompt1, 4);
  await page.locator('.counts button', { hasText: 'Paused: 1 new' }).waitFor({ timeout: patienceMs });
  assert.equal(await page.locator('.decision[data-id]').first().getAttribute('data-id'), ids[0]);
  await page.keyboard.press('p');
  await eventually('the new one is shown', patienceMs, async () =>
    (await page.locator('.decision[data-id]').first().getAttribute('data-id')) === ids[0] ? null : true,
  );

  await page.keyboard.press('?');
  assert.match(await textOf(page, 'dialog.help'), /pause, go on/);
  await page.keyboard.press('Escape');
  await page.locator('dialog.help').waitFor({ state: 'detached', timeout: patienceMs });
  const background = (): Promise<string> => page.evaluate('getComputedStyle(document.body).backgroundColor');
  const before = await background();
  await page.keyboard.press('t');
  await page.keyboard.press('t');
  await eventually('the second choice after "as the system says", light here, is dark', patienceMs, async () =>
    (await background()) === before ? null : true,
  );
  assertClean();
});

test('what fails and what hangs is seen whatever the filter; what is not known is no zero', async (t) => {
  const stack = await startStack(t, ['./signalbox'], []);
  const { page, assertClean } = await watchedPage(browser);
  await page.goto(`${stack.adminUrl}/decisions?text=nothing-is-like-this`);
  await page.locator('.empty', { hasText: 'No decision is like that' }).waitFor({ timeout: patienceMs });
  await complete(stack.url, walkthroughModel, prompt1, 4);
  const leaving = new AbortController();
  const hanging = fetch(`${stack.url}/v1/completions`, {
    method: 'POST',
    signal: leaving.signal,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: walkthroughModel,
      prompt: prompt2,
      max_tokens: 4000,
      stream: true,
      ignore_eos: true,
    }),
  }).then((response) => response.text());
  await page.locator('.counts .chip.open', { hasText: '1 in flight' }).waitFor({ timeout: patienceMs });

  // The answer that did not stream has no time to its first token: not known, and not zero.
  await page.goto(`${stack.adminUrl}/decisions?verdict=ok`);
  const cell = page.locator('.decision[data-id]:not(.going) [data-label="first token"]').first();
  await cell.waitFor({ timeout: patienceMs });
  assert.equal(await cell.innerText(), '?');
  leaving.abort();
  await assert.rejects(hanging);

  // Both engines die under a request: the decision says so, and the counter shows it under every filter.
  const pods = JSON.parse((await stack.signalbox('get', 'pods', '--json')).stdout) as PodJson[];
  const engines = pods
    .filter(({ labels }) => labels['llm-d.ai/role'] === 'decode')
    .flatMap(({ containers }) => containers);
  // The page is there before: soon nobody has a request in flight, for no endpoint is left.
  await page.goto(`${stack.adminUrl}/decisions?text=nothing-is-like-this`);
  await page.locator('.status', { hasText: 'live' }).waitFor({ timeout: patienceMs });
  await page.locator('.counts .chip.open').waitFor({ state: 'detached', timeout: patienceMs });
  for (const { pid } of engines) process.kill(pid, 'SIGSTOP');
  const stuck = fetch(`${stack.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: walkthroughModel, prompt: prompt1, max_tokens: 4 }),
  }).then((response) => response.status);
  await page.locator('.counts .chip.open', { hasText: '1 in flight' }).waitFor({ timeout: patienceMs });
  for (const { pid } of engines) process.kill(pid, 'SIGKILL');
  if ((await stuck) >= 400) {
    await page.locator('.counts .chip.danger', { hasText: '1 failed' }).waitFor({ timeout: patienceMs });
  }
  assertClean();
});

interface PodJson {
  readonly labels: Record<string, string>;
  readonly containers: { readonly pid: number }[];
}

test('the playground: an answer beside the decision that placed it, and where a prompt would go', async (t) => {
  const stack = await startStack(t, ['./signalbox'], []);
  const { page, assertClean } = await watchedPage(browser);
  await page.goto(`${stack.adminUrl}/playground`);
  await page
    .locator('.settings option', { hasText: walkthroughModel })
    .waitFor({ state: 'attached', timeout: patienceMs });
  await page.keyboard.press('/');
  await page.keyboard.type(prompt1);
  await page.locator('button', { hasText: 'Where would it go?' }).click();
  await page.locator('.beside', { hasText: 'not sent' }).waitFor({ timeout: patienceMs });
  assert.deepEqual(await getJson(`${stack.adminUrl}/api/decisions`), []);

  await page.locator('textarea').press('Control+Enter');
  await page.locator('.beside .happened').waitFor({ timeout: patienceMs });
  await page.locator('.cursor').waitFor({ state: 'detached', timeout: patienceMs });
  assert.ok((await textOf(page, '.talk .answer')).length > 20);
  const [decision] = await getJson<DecisionJson[]>(`${stack.adminUrl}/api/decisions`);
  assert.equal(await page.locator('.talk button .endpoint').getAttribute('title'), decision!.picked);
  assert.equal(
    await page.locator('.beside a', { hasText: 'its page' }).getAttribute('href'),
    `/requests/${decision!.id}`,
  );
  assertClean();
});

test('a page whose gateway is gone says so, a hidden one asks for nothing, and both come back', async (t) => {
  const stack = await servedStack(t, 4);
  const { page } = await watchedPage(browser);
  await page.goto(stack.adminUrl);
  await page.locator('.status', { hasText: 'live' }).waitFor({ timeout: patienceMs });

  let asked = 0;
  page.on('request', () => (asked += 1));
  const setHidden = (hidden: boolean): Promise<void> =>
    page.evaluate(`Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'))`);
  await setHidden(true);
  // Three seconds in which nothing is asked, once what was under way is over.
  await eventually('it asks for nothing', patienceMs, async () => {
    asked = 0;
    await page.waitForTimeout(3000);
    return asked === 0 ? true : null;
  });
  await setHidden(false);
  await eventually('it asks again', patienceMs, () => Promise.resolve(asked > 0 ? true : null));

  assert.equal((await stack.signalbox('down')).status, 0);
  await page.locator('.status.stale', { hasText: 'not fresh: as of' }).waitFor({ timeout: patienceMs });
  assert.ok((await page.locator('.yard-row[data-endpoint]').count()) > 0, 'what was known stays readable');
});
