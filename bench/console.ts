/**
 * `npm run bench:console`: how the console bears 64 endpoints and 10,000 decisions. A gateway in this process, engines
 * that answer at once, a real Chromium. Prints what was measured as a table in Markdown.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from 'playwright-core';
import { createLogger } from '../src/base/log.ts';
import { startGateway } from '../src/gateway/gateway.ts';
import { median } from './lib/median.ts';
import { openBrowser } from '../test/browser/browser.ts';

const endpoints = 64;
const decisions = 10_000;
const atOnce = 8;
const model = 'toy/model';

const rows: [what: string, value: string][] = [];
const urls = await Promise.all(Array.from({ length: endpoints }, startEngine));
const gateway = await startGateway({
  port: 0,
  adminPort: 0,
  endpoints: urls,
  policy: { environment: {} },
  log: createLogger('bench', { write: () => undefined }),
});
const base = `http://127.0.0.1:${gateway.adminPort}`;
while (!(await areReady())) await pause(100);

const browser = await openBrowser();
const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
await page.goto(base); // builds it where it was never built
await measureOpening(page);
await measureLoad(page);
await measureTable(page);
console.log(`| ${endpoints} endpoints, ${decisions} decisions | |\n|---|---|`);
for (const [what, value] of rows) console.log(`| ${what} | ${value} |`);
await browser.close();
process.exit();

async function measureOpening(page: Page): Promise<void> {
  const times: number[] = [];
  let bytes = 0;
  for (let run = 0; run < 5; run++) {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
    const fresh = await context.newPage();
    await fresh.goto(base);
    await fresh
      .locator('.yard-row[data-endpoint]')
      .nth(endpoints - 1)
      .waitFor();
    const figures = await fresh.evaluate<[number, number]>(`[performance.now(),
      performance.getEntriesByType('resource').filter(({ name }) => name.includes('/assets/'))
        .reduce((sum, { transferSize }) => sum + transferSize, performance.getEntriesByType('navigation')[0].transferSize)]`);
    times.push(figures[0]);
    bytes = figures[1];
    await context.close();
  }
  rows.push(['first page, compressed', `${(bytes / 1000).toFixed(0)} kB`]);
  rows.push(['from opening to every endpoint shown and usable, median of 5', ms(median(times))]);
  await page.bringToFront();
}

async function measureLoad(page: Page): Promise<void> {
  await page.goto(base);
  await page
    .locator('.yard-row[data-endpoint]')
    .nth(endpoints - 1)
    .waitFor();
  await page.evaluate(`window.longest = 0; window.late = 0;
    new PerformanceObserver((list) => { for (const { duration } of list.getEntries()) {
      window.longest = Math.max(window.longest, duration); window.late += 1; } }).observe({ entryTypes: ['longtask'] })`);
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  const busySeconds = async (): Promise<number> => {
    const { metrics } = await session.send('Performance.getMetrics');
    return metrics.find(({ name }) => name === 'TaskDuration')!.value;
  };
  const before = await busySeconds();
  const started = performance.now();
  await sendAll();
  const seconds = (performance.now() - started) / 1000;
  const busy = (await busySeconds()) - before;
  const [longest, late] = await page.evaluate<[number, number]>('[window.longest, window.late]');
  rows.push(['requests a second while the fleet page was open', (decisions / seconds).toFixed(0)]);
  rows.push(['share of a core that the page took then', `${((100 * busy) / seconds).toFixed(0)} %`]);
  rows.push(['tasks of the page over 50 ms, and the longest', `${late}, ${ms(longest)}`]);
}

async function measureTable(page: Page): Promise<void> {
  await page.keyboard.press('2');
  await page.locator('.decision[data-id]').first().waitFor();
  await pause(3000);
  rows.push(['decisions in the table', (await page.locator('.counts span').first().innerText()).split(' of ')[1]!]);
  rows.push(['rows of them in the document', String(await page.locator('.decision[data-id]').count())]);
  const [longest, typical] = await page.evaluate<[number, number]>(`new Promise((done) => {
    const scroller = document.querySelector('.scroller'), frames = [];
    let before = performance.now(), left = 120;
    const step = (now) => {
      frames.push(now - before); before = now;
      scroller.scrollTop += 1500;
      if (left-- > 0) requestAnimationFrame(step);
      else { frames.shift(); frames.sort((a, b) => a - b); done([frames.at(-1), frames[60]]); }
    };
    requestAnimationFrame(step);
  })`);
  rows.push(['a frame while scrolling through them, median and longest', `${ms(typical)}, ${ms(longest)}`]);
  const times: number[] = [];
  for (const text of ['e', 'ex', 'queued', 'prefill 0.0', '']) {
    times.push(
      await page.evaluate<number>(`new Promise((done) => {
        const input = document.querySelector('.filters input');
        const started = performance.now();
        input.value = ${JSON.stringify(text)};
        input.dispatchEvent(new Event('input', { bubbles: true }));
        requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - started)));
      })`),
    );
  }
  rows.push(['from a letter typed into the filter to the picture, median', ms(median(times))]);
}

async function sendAll(): Promise<void> {
  let sent = 0;
  const prompts = Array.from({ length: 200 }, (_, at) => `prompt ${at} `.repeat(40));
  const one = async (): Promise<void> => {
    while (sent < decisions) {
      const body = JSON.stringify({ model, prompt: prompts[sent++ % prompts.length], max_tokens: 1, stream: true });
      const headers = { 'content-type': 'application/json' };
      await (await fetch(`http://127.0.0.1:${gateway.port}/v1/completions`, { method: 'POST', headers, body })).text();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
}

async function startEngine(): Promise<string> {
  const server = createServer((request, response) => {
    if (request.url === '/v1/models') return response.end(JSON.stringify({ object: 'list', data: [{ id: model }] }));
    if (request.method === 'GET') return response.end('');
    request.resume().once('end', () => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end('data: {"choices":[{"index":0,"text":"a"}]}\n\ndata: [DONE]\n\n');
    });
    return response;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function areReady(): Promise<boolean> {
  const listed = (await (await fetch(`${base}/api/endpoints`)).json()) as { ready: boolean }[];
  return listed.length === endpoints && listed.every(({ ready }) => ready);
}

function ms(value: number): string {
  return `${value.toFixed(0)} ms`;
}

function pause(forMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, forMs));
}
