import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContextOptions, type LaunchOptions, type Page } from 'playwright-core';
import { repository } from '../support/command.ts';

/** A real Chromium, without a screen. */
export function openBrowser(): Promise<Browser> {
  return chromium.launch(launchOptions());
}

export function launchOptions(): LaunchOptions {
  const executablePath = execFileSync(join(repository, 'test/browser/install.sh'), { encoding: 'utf8' }).trim();
  const quiet = ['background-networking', 'component-update', 'sync', 'gpu', 'quic'].map((name) => `--disable-${name}`);
  return { executablePath, args: ['--headless', '--no-sandbox', '--no-first-run', ...quiet] };
}

interface Watched {
  readonly page: Page;
  /** Fails when the page has had an error, or asked for anything elsewhere. */
  assertClean(): void;
}

/** A page of its own context that keeps every error and every request. */
export async function watchedPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Watched> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  const errors: string[] = [];
  const origins = new Set<string>();
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(`${message.text()} ${message.location().url}`);
  });
  page.on('request', (request) => {
    if (!request.url().startsWith('data:')) origins.add(new URL(request.url()).origin);
  });
  return {
    page,
    assertClean() {
      assert.deepEqual(errors, []);
      assert.ok(origins.size <= 1, `asked ${[...origins].join(', ')}`);
    },
  };
}
