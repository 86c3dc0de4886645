import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, test } from 'node:test';
import type { podReport } from '../../src/stack/pod-report.ts';
import { testedEnvoy } from '../../src/stack/envoy-program.ts';
import { eventually, repository } from '../support/command.ts';
import { complete, startStack, type TestStack } from '../support/stack.ts';
import { prompt1, prompt2 } from '../support/walkthrough-prompts.ts';

type Pod = ReturnType<typeof podReport>;

const main = [process.execPath, '--disable-warning=ExperimentalWarning', join(repository, 'src/cli/main.ts')] as const;
const model = 'meta-llama/Llama-3.2-3B-Instruct';

before(async () => {
  await testedEnvoy();
});

async function podNamed(stack: TestStack, part: string): Promise<Pod> {
  const { stdout } = await stack.signalbox('get', 'pods', '--json');
  return (JSON.parse(stdout) as Pod[]).find(({ name }) => name.includes(part))!;
}

test('the walkthrough with a real Envoy as its gateway, and the EPP in a pod of its own', async (t) => {
  const stack = await startStack(t, main, ['--gateway', 'envoy', '--time-scale', '20']);
  const [gateway, epp] = [await podNamed(stack, 'gateway'), await podNamed(stack, '-epp-')];
  assert.deepEqual([gateway.ready, gateway.containers[0]!.name, gateway.hostedBy], ['1/1', 'envoy', null]);
  assert.deepEqual([epp.ready, epp.hostedBy], ['1/1', null]);
  assert.notEqual(epp.containers[0]!.pid, gateway.containers[0]!.pid);

  const one = await complete(stack.url, model, prompt1, 5);
  const two = await complete(stack.url, model, prompt2, 5);
  assert.deepEqual([one.status, two.status], [200, 200]);
  assert.equal(two.headers.get('x-signalbox-endpoint'), one.headers.get('x-signalbox-endpoint'));
  const log = (await stack.signalbox('logs', epp.name)).stdout;
  assert.match(log, new RegExp(one.headers.get('x-request-id')!));

  const deleted = await stack.signalbox('delete', 'pod', epp.name);
  assert.equal(deleted.status, 0, deleted.stderr);
  const next = await podNamed(stack, '-epp-');
  assert.notEqual(next.name, epp.name);
  await eventually('requests go through the new EPP', 20_000, async () => {
    const { status, headers } = await complete(stack.url, model, prompt1, 2).catch(() => ({
      status: 0,
      headers: new Headers(),
    }));
    return status === 200 && headers.has('x-signalbox-decision') ? true : null;
  });
  assert.equal((await stack.signalbox('scale', 'decode', '3')).status, 0);
  assert.equal((await complete(stack.url, model, prompt1, 2)).status, 200);
});
