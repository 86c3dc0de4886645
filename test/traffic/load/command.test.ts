import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { repository, runCommand, temporaryFolder } from '../../support/command.ts';
import type { CommandResult } from '../../support/command.ts';
import { answerWell, startOpenAiServer } from './openai-server.ts';

const main = join(repository, 'src/cli/main.ts');
const nodeArguments = ['--disable-warning=ExperimentalWarning', main, 'load'];

const load = (...args: string[]): Promise<CommandResult> => runCommand(process.execPath, [...nodeArguments, ...args]);

test('--json prints one document, --report writes a page', async (t) => {
  const server = await startOpenAiServer(t, answerWell('decode-0', 'load 0.50x1'));
  const report = join(temporaryFolder(t), 'report.html');
  const run = await load(
    ...['--url', `${server.url}/v1/`, '--admin-url', server.url, '--requests', '6', '--think-time-cap', '0'],
    ...['--json', '--report', report],
  );
  assert.equal(run.status, 0, run.stderr);
  const summary = JSON.parse(run.stdout) as { requests: { completed: number }; model: string };
  assert.deepEqual([summary.requests.completed, summary.model], [6, 'toy/model']);
  assert.match(await readFile(report, 'utf8'), /^<!doctype html>[\s\S]*did not answer as expected/);
});

test('every request failed: the table and exit 1', async () => {
  const run = await load('--url', 'http://127.0.0.1:1', '--model', 'm', '--requests', '3', '--think-time-cap', '0');
  assert.equal(run.status, 1);
  assert.match(run.stdout, /3 {2}connection refused/);
  assert.match(run.stderr, /signalbox: every request failed/);
});

test('interrupted: the table of what there is', async (t) => {
  let answered = 0;
  const server = await startOpenAiServer(t, (received, response) => {
    answered += 1;
    if (answered <= 3) answerWell('decode-0', 'load 0.50x1')(received, response);
    else interrupted.kill('SIGINT');
  });
  const interrupted = spawn(
    process.execPath,
    [...nodeArguments, '--url', server.url, '--users', '1', '--think-time-cap', '0'],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  t.after(() => interrupted.kill('SIGKILL'));
  const [[status], stdout, stderr] = await Promise.all([
    once(interrupted, 'close') as Promise<[number | null]>,
    text(interrupted.stdout),
    text(interrupted.stderr),
  ]);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /3 of 4 requests answered in .*, 1 cut off at the end/);
});

for (const [what, args, message] of [
  ['a number that is none', ['--rate', 'fast'], /--rate <per-second>.*above 0/],
  [
    'options that exclude each other',
    ['--rate', '1', '--users', '2', '--url', 'http://127.0.0.1:1'],
    /exclude each other/,
  ],
  ['an address that is none', ['--url', 'localhost:8080'], /"localhost:8080" is not an http/],
  ['an unknown option', ['--userz', '2'], /did you mean --users/i],
] as const) {
  test(`${what}: exit 2 and what to do`, async () => {
    const run = await load(...args);
    assert.equal(run.status, 2, run.stderr);
    assert.match(run.stderr, message);
  });
}

test('nobody listens, or no such trace: exit 1 and why', async () => {
  const unreachable = await load('--url', 'http://127.0.0.1:1');
  assert.deepEqual([unreachable.status, unreachable.stdout], [1, '']);
  assert.match(unreachable.stderr, /^signalbox: Nothing answers at http:\/\/127\.0\.0\.1:1 /);
  const traceless = await load('--url', 'http://127.0.0.1:1', '--trace', 'mooncake-conversations');
  assert.equal(traceless.status, 1);
  assert.match(traceless.stderr, /did you mean "mooncake-conversation"/);
});
