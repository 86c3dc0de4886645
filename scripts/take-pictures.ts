/**
 * `npm run pictures`: brings up the walkthrough's system with four decode pods, puts load on it, and takes the pictures
 * of docs/console.md with a real Chromium; then one with prefill and decode apart, for a request that is split.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import type { DecisionJson } from '../src/admin/json.ts';
import { openBrowser } from '../test/browser/browser.ts';
import { freePort, runCommand } from '../test/support/command.ts';
import { walkthroughModel } from '../test/support/walkthrough-prompts.ts';
import { root } from './lib/source-files.ts';

const folder = join(root, 'docs/pictures');
const home = mkdtempSync(join(tmpdir(), 'signalbox-pictures-'));
const [port, adminPort] = [await freePort(), await freePort()];
const url = `http://127.0.0.1:${port}`;
const base = `http://127.0.0.1:${adminPort}`;

const signalbox = async (...rest: string[]): Promise<string> => {
  const result = await runCommand('./signalbox', rest, { env: { SIGNALBOX_HOME: home } });
  if (result.status !== 0) throw new Error(`signalbox ${rest.join(' ')}: ${result.stderr}`);
  return result.stdout;
};

mkdirSync(folder, { recursive: true });
let browser: Browser | undefined;
try {
  await signalbox('up', '--detach', '--port', `${port}`, '--admin-port', `${adminPort}`);
  await signalbox('scale', 'decode', '4');
  browser = await openBrowser();
  const load = signalbox('load', '--users', '16', '--requests', '500', '--json');
  await pictures(browser);
  await load;
  await pictureOfWaiting(browser);
  await signalbox('down');
  await signalbox(
    ...['up', '--detach', '-f', 'examples/pd-nixl/pd-nixl-2p4d.yaml'],
    ...['--port', `${port}`, '--admin-port', `${adminPort}`],
  );
  await pictureOfSplit(browser);
} finally {
  await browser?.close();
  await signalbox('down');
  rmSync(home, { recursive: true, force: true });
}

async function pictures(browser: Browser): Promise<void> {
  const dark = await pageOf(browser, 'dark', 1280, 800);
  const light = await pageOf(browser, 'light', 1280, 800);
  const phone = await pageOf(browser, 'dark', 390, 800);
  await dark.goto(base);
  await dark.waitForTimeout(30_000); // something to draw over time
  await take(dark, 'fleet');
  await light.goto(base);
  await light.waitForTimeout(4000);
  await take(light, 'fleet-light');
  await phone.goto(base);
  await phone.waitForTimeout(4000);
  await take(phone, 'fleet-phone');
  await light.goto(`${base}/decisions`);
  await light.waitForTimeout(3000);
  await take(light, 'decisions');
  const ended = light.locator('.decision[data-id]:not(.going)').nth(8);
  await dark.goto(`${base}/requests/${await ended.getAttribute('data-id')}`);
  await dark.locator('.happened').waitFor();
  await take(dark, 'request');
  await light.goto(`${base}/prefixes`);
  await light.locator('.map').waitFor();
  for (const key of ['ArrowRight', 'ArrowRight', '+', '+']) await light.keyboard.press(key);
  await light.waitForTimeout(500);
  await take(light, 'prefixes');
  await dark.goto(`${base}/compare`);
  await dark.locator('.shadow').waitFor();
  await take(dark, 'compare');
  await light.goto(`${base}/playground`);
  await light.locator('.example').nth(1).click();
  await light.locator('.settings .main').click();
  await light.locator('.beside .happened').waitFor();
  await light.locator('.cursor').waitFor({ state: 'detached' });
  await light.waitForTimeout(1500);
  await take(light, 'playground');
}

function complete(prompt: string, tenant: string, signal: AbortSignal | null = null): Promise<Response> {
  return fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-llm-d-inference-fairness-id': tenant },
    body: JSON.stringify({ model: walkthroughModel, prompt, max_tokens: 16, stream: true }),
    signal,
  });
}

/** More long prompts at once than the fleet can take. */
async function pictureOfWaiting(browser: Browser): Promise<void> {
  const leaving = new AbortController();
  const asked = Array.from({ length: 120 }, (_, number) => {
    const prompt = `Document ${number}: ${'a line of a very long document. '.repeat(2500)}`;
    return complete(prompt, number % 3 === 0 ? 'search' : 'chat', leaving.signal)
      .then((response) => response.text())
      .catch(() => undefined);
  });
  const page = await pageOf(browser, 'light', 1280, 800);
  await page.goto(base);
  const waiting = page.locator('.waiting');
  await waiting.waitFor();
  await waiting.scrollIntoViewIfNeeded();
  await page.waitForTimeout(2000);
  await take(page, 'waiting');
  leaving.abort();
  await Promise.all(asked);
}

async function pictureOfSplit(browser: Browser): Promise<void> {
  const prompt = 'One engine reads what another one says. '.repeat(200);
  for (let number = 0; number < 8; number++) await (await complete(`${number}: ${prompt}`, 'chat')).text();
  const decisions = (await (await fetch(`${base}/api/decisions`)).json()) as DecisionJson[];
  const split = decisions.find(({ disaggregation }) => disaggregation?.split === true);
  if (split === undefined) throw new Error('no request was split');
  const page = await pageOf(browser, 'dark', 1280, 800);
  await page.goto(`${base}/requests/${split.id}`);
  await page.locator('.two-passes').waitFor();
  await page.locator('.happened').waitFor();
  await take(page, 'split');
}

async function pageOf(browser: Browser, colorScheme: 'dark' | 'light', width: number, height: number): Promise<Page> {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme });
  return context.newPage();
}

async function take(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(folder, `${name}.png`) });
  console.log(`docs/pictures/${name}.png`);
}
