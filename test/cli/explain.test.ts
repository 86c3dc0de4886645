import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { decisionJson } from '../../src/journal/decision-json.ts';
import type { DecisionJson } from '../../src/journal/decision-schema.ts';
import { policyFromConfig } from '../../src/scheduler/config.ts';
import { walkthroughPolicy } from '../support/walkthrough-policy.ts';
import { type CommandResult, freePort, runCommand, temporaryFolder } from '../support/command.ts';
import { model, postJson, startEngine, startTestGateway } from '../support/fleet-under-test.ts';
import { decide, requestOf, viewOf } from '../support/scheduling.ts';

const policy = policyFromConfig(walkthroughPolicy, 'default');
const decision = decisionJson(decide(policy, requestOf(), viewOf([{ name: 'a' }]), 1));

/** An admin API that knows `decisions`, as far as `explain` asks. */
async function adminApi(t: TestContext, decisions: readonly unknown[]): Promise<string> {
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    const [path] = request.url!.split('?');
    if (path === '/api/decisions') return response.end(JSON.stringify(decisions.slice(0, 1)));
    if ([decision.id, decision.requestId].some((id) => path === `/api/decisions/${id}`))
      return response.end(JSON.stringify(decision));
    response.statusCode = 404;
    return response.end(JSON.stringify({ error: { message: 'no decision or request of that id is kept' } }));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function explain(t: TestContext, ...commandArguments: string[]): Promise<CommandResult> {
  const program = ['src/cli/main.ts', 'explain', ...commandArguments];
  return runCommand(process.execPath, program, { env: { SIGNALBOX_HOME: temporaryFolder(t) } });
}

test('explain shows the latest decision as a table', async (t) => {
  const { status, stdout, stderr } = await explain(t, '--admin-url', await adminApi(t, [decision]));
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^decision decision-1, request request-1\n/);
  assert.match(stdout, /picked a\n {2}because prefix 0\.00x2 \+ load 0\.50x1, the only candidate/);
});

test('explain finds by request id and prints one JSON document', async (t) => {
  const url = await adminApi(t, []);
  const { status, stdout, stderr } = await explain(t, decision.requestId, '--json', '--admin-url', url);
  assert.equal(status, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), JSON.parse(JSON.stringify(decision)));
});

test('what cannot be explained: no request yet, an unknown id, nobody there, no such namespace', async (t) => {
  const url = await adminApi(t, []);
  const nowhere = `http://127.0.0.1:${await freePort()}`;
  for (const [commandArguments, reason] of [
    [['--admin-url', url], /no request has been placed yet/],
    [['nonsense', '--admin-url', url], /no decision or request of that id is kept/],
    [['--admin-url', nowhere], /no answer from the admin API at http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/],
    [['-n', 'nobody'], /no stack runs in namespace "nobody"/],
  ] as const) {
    const { status, stdout, stderr } = await explain(t, ...commandArguments);
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr.split('\n')[0]!, reason);
  }
});

test('a hypothetical request is placed by the gateway, not sent, and told what would change it', async (t) => {
  const engines = [await startEngine(t), await startEngine(t)];
  const gateway = await startTestGateway(
    t,
    engines.map(({ url }) => url),
  );
  const prompt = 'the points are set before the train is seen; '.repeat(30);
  const served = await postJson(`${gateway.url}/v1/completions`, { model, prompt, max_tokens: 1 });
  await served.text();
  const holder = served.headers.get('x-signalbox-endpoint')!;

  const asked = await explain(t, '--prompt', prompt, '--admin-url', gateway.adminUrl);
  assert.equal(asked.status, 0, asked.stderr);
  assert.match(asked.stdout, /^not sent, only asked where it would go\n/);
  assert.match(asked.stdout, new RegExp(`would go to ${holder}\n`));
  assert.match(asked.stdout, /it would go to \S+\n {2}if \S+ had .* (more|less|fewer) .*: .* instead of .*\n/);
  assert.doesNotMatch(asked.stdout, /not ended yet|not known/);

  const body = join(temporaryFolder(t), 'chat.json');
  writeFileSync(body, JSON.stringify({ messages: [{ role: 'user', content: 'Hello.' }] }));
  const chat = await explain(t, '--body', body, '--json', '--admin-url', gateway.adminUrl);
  const { kind, model: named, flips } = JSON.parse(chat.stdout) as DecisionJson;
  assert.deepEqual([kind, named, flips!.unknown], ['chat', model, null]);
  assert.deepEqual(
    flips!.profiles.map(({ picked, runnerUp }) => [picked, runnerUp].sort()),
    [engines.map(({ port }) => `127.0.0.1:${port}`).sort()],
  );
  assert.equal(((await (await fetch(`${gateway.adminUrl}/api/decisions`)).json()) as unknown[]).length, 1);

  for (const [commandArguments, status, reason] of [
    [['--prompt', 'x', '--model', 'none'], 1, /The model "none" does not exist here/],
    [['--body', `${body}.gone`], 1, /chat\.json\.gone: ENOENT/],
    [['--prompt', 'x', '--body', body], 2, /cannot be used with/],
    [['last', '--prompt', 'x'], 2, /give one of them/],
    [['--model', model], 2, /give --prompt or --body/],
  ] as const) {
    const result = await explain(t, ...commandArguments, '--admin-url', gateway.adminUrl);
    assert.deepEqual([result.status, result.stdout], [status, '']);
    assert.match(result.stderr.split('\n')[0]!, reason);
  }
});
