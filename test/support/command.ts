import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export const repository = resolve(import.meta.dirname, '../..');

/** A test, as far as whoever starts something for it needs it. */
export interface Cleanup {
  after(end: () => unknown): void;
}

export interface CommandResult {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end and gives its output; never throws on a bad exit. */
export function runCommand(
  command: string,
  commandArguments: readonly string[],
  options: { cwd?: string; env?: Record<string, string>; input?: string } = {},
): Promise<CommandResult> {
  return new Promise((done, failed) => {
    const child = spawn(command, commandArguments, {
      cwd: options.cwd ?? repository,
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', failed);
    child.on('close', (code) => done({ status: code ?? 1, stdout, stderr }));
    child.stdin.on('error', () => {}); // a program that ends before reading everything
    child.stdin.end(options.input ?? '');
  });
}

/** A folder that goes when the test ends, after `before` has run (hooks of a test run in the order they were given). */
export function temporaryFolder(t: Cleanup, before: () => Promise<unknown> = () => Promise.resolve()): string {
  const folder = mkdtempSync(join(tmpdir(), 'signalbox-test-'));
  t.after(async () => {
    await before();
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/**
 * A TCP port on loopback that nobody listened on a moment ago: below those that the kernel gives to connections, so that
 * none of these takes it before it is listened on.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(12_000, 32_000);
    if (await canListen(port)) return port;
  }
}

function canListen(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer();
    server.on('error', () => done(false));
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });
}

/** Asks again until `check` gives something other than null; fails after `limitMs` with `what`. */
export async function eventually<Result>(
  what: string,
  limitMs: number,
  check: () => Promise<Result | null>,
): Promise<Result> {
  const end = performance.now() + limitMs;
  for (;;) {
    const result = await check();
    if (result !== null) return result;
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((next) => setTimeout(next, 50));
  }
}
