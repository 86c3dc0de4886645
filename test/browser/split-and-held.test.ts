import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import type { AdmissionJson, DecisionJson } from '../../src/admin/json.ts';
import { eventually } from '../support/command.ts';
import { model, postJson, startEngine, startTestGateway, until } from '../support/fleet-under-test.ts';
import { addressOf, startSplitEngines, startSplittingGateway } from '../support/split-fleet.ts';
import { getJson } from '../support/stack.ts';
import { openBrowser, watchedPage } from './browser.ts';

const patienceMs = 30_000;
let browser: Browser;

before(async () => {
  browser = await openBrowser();
});
after(() => browser.close());

test('a request that is split shows both passes: in the list, on its page, and why', async (t) => {
  const fleet = await startSplitEngines(t, { prefill: 1, decode: 2 });
  const gateway = await startSplittingGateway(t, fleet);
  const prompt = 'One engine reads what another one says. '.repeat(20);
  const answer = await postJson(`${gateway.url}/v1/completions`, { model, prompt, max_tokens: 8, stream: true });
  await answer.text();
  const id = answer.headers.get('x-signalbox-decision')!;
  const read = (): Promise<DecisionJson> => getJson<DecisionJson>(`${gateway.adminUrl}/api/decisions/${id}`);
  await until(async () => (await read()).outcome !== null);
  const { picked, disaggregation, profiles } = await read();
  const [prefill] = fleet.prefill.map(addressOf);

  const { page, assertClean } = await watchedPage(browser);
  await page.goto(`${gateway.adminUrl}/decisions`);
  const names = page.locator(`.decision[data-id="${id}"] .endpoint`);
  await names.nth(1).waitFor({ timeout: patienceMs });
  assert.deepEqual(await names.evaluateAll((all) => all.map((one) => one.getAttribute('title'))), [prefill, picked]);

  await page.goto(`${gateway.adminUrl}/requests/${id}`);
  const passes = page.locator('.two-passes .endpoint');
  await passes.nth(1).waitFor({ timeout: patienceMs });
  assert.deepEqual(await passes.evaluateAll((all) => all.map((one) => one.getAttribute('title'))), [prefill, picked]);
  assert.match(await page.locator('.passes').innerText(), new RegExp(disaggregation!.by));
  const titles = await page.locator('.scores h2').allInnerTexts();
  assert.equal(titles.length, profiles.length);
  assert.equal(titles.filter((title) => title.includes('where the prompt is computed')).length, 1);
  assert.equal(titles.filter((title) => title.includes('where it is answered')).length, 1);
  assertClean();
});

test('who waits is shown by priority and tenant, with what each is due, and who was turned away', async (t) => {
  const engine = await startEngine(t, { timeScale: 1 });
  const configText = `apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins: [{type: queued-prefill-cost}, {type: own-prefill-cost}, {type: min-cost-picker}]
schedulingProfiles: [{name: default, plugins: [{pluginRef: queued-prefill-cost}, {pluginRef: own-prefill-cost}, {pluginRef: min-cost-picker}]}]
flowControl: {objectives: [{name: urgent, priority: 10}], weights: {search: 2}}
`;
  const gateway = await startTestGateway(t, [engine.url], { policy: { environment: {}, configText } });
  const leaving = new AbortController();
  const ask = (number: number, headers: Record<string, string>): Promise<Response> =>
    postJson(
      `${gateway.url}/v1/completions`,
      { model, prompt: `${number} ${'words of a long prompt '.repeat(2500)}`, max_tokens: 2 },
      { headers, signal: leaving.signal },
    );
  const asked = Array.from({ length: 48 }, (_, number) =>
    ask(number, {
      'x-llm-d-inference-fairness-id': number % 2 === 0 ? 'search' : 'chat',
      ...(number % 8 === 7 ? { 'x-llm-d-inference-objective': 'urgent' } : {}),
    }).catch(() => undefined),
  );
  const read = (): Promise<AdmissionJson> => getJson<AdmissionJson>(`${gateway.adminUrl}/api/admission`);
  await until(async () => (await read()).bands.some(({ priority, held }) => priority === 0 && held > 3));
  const late = await ask(99, { 'x-llm-d-slo-ttft-ms': '1' });
  assert.equal(late.status, 429);

  const { page, assertClean } = await watchedPage(browser);
  await page.goto(gateway.adminUrl);
  const waiting = page.locator('.waiting');
  await waiting.waitFor({ timeout: patienceMs });
  await page.locator('.bands th', { hasText: 'search' }).first().waitFor({ timeout: patienceMs });
  assert.match(await waiting.locator('.refused').innerText(), /1 could not have come in time/);
  await eventually('it shows what the API says', patienceMs, async () => {
    const { bands, held } = await read();
    const shown = await waiting.locator('.bands tr.band').allInnerTexts();
    const isSame = bands.every(({ priority, held: own }, at) =>
      new RegExp(`^priority ${priority}\\s+${own} of`).test(shown[at] ?? ''),
    );
    return isSame && (await waiting.locator('h2').innerText()).toLowerCase().includes(`${held} now`) ? true : null;
  });
  leaving.abort();
  await Promise.all(asked);
  assertClean();
});
