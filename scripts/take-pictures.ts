/**
 * `npm run pictures`: brings up the walkthrough's system with four decode pods, puts load on it, and takes the pictures
 * of docs/console.md with a real Chromium.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { openBrowser } from '../test/browser/browser.ts';
import { freePort, runCommand } from '../test/support/command.ts';
import { root } from './lib/source-files.ts';

const folder = join(root, 'docs/pictures');
const home = mkdtempSync(join(tmpdir(), 'signalbox-pictures-'));
const [port, adminPort] = [await freePort(), await freePort()];
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

async function pageOf(browser: Browser, colorScheme: 'dark' | 'light', width: number, height: number): Promise<Page> {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme });
  return context.newPage();
}

async function take(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(folder, `${name}.png`) });
  console.log(`docs/pictures/${name}.png`);
}
