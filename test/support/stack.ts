import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { type CommandResult, freePort, runCommand, temporaryFolder } from './command.ts';

/** A stack brought up by the command line in a home of its own, on free ports; taken down when the test ends. */
export interface TestStack {
  url: string;
  adminUrl: string;
  /** Where it keeps its state and logs. */
  home: string;
  up: CommandResult;
  /** Runs a further command on this stack. */
  signalbox(...commandArguments: string[]): Promise<CommandResult>;
}

/** `launcher` is the program and first arguments that run the command line, e.g. `['./signalbox']`. */
export async function startStack(
  t: TestContext,
  launcher: readonly [string, ...string[]],
  upArguments: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<TestStack> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const [program, ...first] = launcher;
  const home = temporaryFolder(t, () => run('down'));
  const run = (...rest: string[]): Promise<CommandResult> =>
    runCommand(program, [...first, ...rest], { ...options, env: { ...options.env, SIGNALBOX_HOME: home } });
  const up = await run('up', '--detach', '--port', `${port}`, '--admin-port', `${adminPort}`, ...upArguments);
  assert.equal(up.status, 0, up.stderr + up.stdout);
  return { url: `http://127.0.0.1:${port}`, adminUrl: `http://127.0.0.1:${adminPort}`, home, up, signalbox: run };
}

export interface Completion {
  status: number;
  headers: Headers;
  body: {
    choices: { text: string }[];
    usage: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } | null };
  };
}

export async function complete(url: string, model: string, prompt: string, maxTokens: number): Promise<Completion> {
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, prompt, max_tokens: maxTokens }),
  });
  return { status: response.status, headers: response.headers, body: (await response.json()) as Completion['body'] };
}

/** Fails unless the console's page and all that it names are served. */
export async function assertConsole(adminUrl: string): Promise<void> {
  const page = await (await fetch(adminUrl)).text();
  const assets = [...page.matchAll(/"(\/assets\/[^"]+)"/g)].map(([, path]) => path!);
  assert.equal(assets.length, 2, page);
  for (const path of assets) assert.equal((await fetch(adminUrl + path)).status, 200, path);
}

export async function getJson<Body>(url: string): Promise<Body> {
  const response = await fetch(url);
  assert.equal(response.status, 200, `${url}: ${response.status}`);
  return (await response.json()) as Body;
}
