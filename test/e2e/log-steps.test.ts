import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../support/command.ts';
import { complete, startStack } from '../support/stack.ts';
import { prompt1, prompt2, walkthroughModel } from '../support/walkthrough-prompts.ts';

test('logs --steps reads a live stack: each request in numbered steps, ending at the endpoint that served it', async (t) => {
  const stack = await startStack(t, ['./signalbox'], ['--time-scale', '20']);
  const answers = [
    await complete(stack.url, walkthroughModel, prompt1, 4),
    await complete(stack.url, walkthroughModel, prompt2, 4),
  ];
  const read = async (): Promise<string> => {
    const result = await stack.signalbox('logs', '-l', 'llm-d.ai/epp', '--steps');
    assert.equal(result.status, 0, result.stderr);
    return result.stdout;
  };
  // The log is written behind the answers.
  const text = await eventually('both requests are logged to their ends', 20_000, async () => {
    const soFar = await read();
    return soFar.split('Response generated').length > answers.length ? soFar : null;
  });
  const blocks = new Map(text.split(/^request /m).map((block) => [block.split(/\s/)[0], block]));
  for (const { headers } of answers) {
    const block = blocks.get(headers.get('x-request-id')!)!;
    const steps = block.split('\n').flatMap((line) => /^ *(\d+)\. (.*)$/.exec(line)?.slice(1) ?? []);
    assert.deepEqual(
      steps.filter((_, i) => i % 2 === 0),
      Array.from({ length: steps.length / 2 }, (_, i) => String(i + 1)),
    );
    const endpoint = headers.get('x-signalbox-endpoint')!;
    assert.ok(
      steps.some((step) => step.startsWith('After running picker plugin') && step.includes(endpoint)),
      block,
    );
    assert.doesNotMatch(steps.join('\n'), /[{}]|\[object/);
  }
});
