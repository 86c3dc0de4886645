import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import { runCommand } from '../support/command.ts';
import { complete } from '../support/stack.ts';
import { prompt1, prompt2, walkthroughModel } from '../support/walkthrough-prompts.ts';
import { namespace, stem, values, type OneNode } from './one-node.ts';

/** Installing, and every command of the walkthrough. */
export function walkthrough(on: OneNode): void {
  test('the installer brings up the pods of the walkthrough and waits for an answer', async () => {
    const result = await on.installer('--namespace', namespace, '--values-file', values);
    assert.equal(result.status, 0, result.stderr + result.stdout);
    assert.match(result.stdout, /No node has a GPU/);
    assert.match(result.stdout, /^ready$/m);
    assert.ok(statSync(on.cluster.image).size < 250e6, 'the image is too large');
    const pods = await on.kubectl('get', 'pods');
    assert.match(pods, /llm-d-inference-gateway-\S+ +1\/1 +Running/);
    assert.match(pods, /llm-d-modelservice-\S+ +1\/1 +Running/);
    assert.match(pods, new RegExp(`${stem}-epp-\\S+ +1/1 +Running`));
    assert.match(pods, new RegExp(`(${stem}-decode-\\S+ +2/2 +Running[^\\n]*\\n){2}`));
    assert.equal(pods.trim().split('\n').length, 6, pods);
    assert.match(await on.kubectl('get', 'modelservices'), new RegExp(`${stem} +True +2/2 +0/0 +1/1 +Ready`));
  });

  test('what the cluster does not have is said', async () => {
    const log = await on.kubectl('logs', '-n', namespace, '-l', 'llm-d.ai/epp', '--tail', '-1');
    assert.match(log, /this cluster has no InferenceObjective: priorities come from files and headers alone/);
    assert.match(log, /this cluster has no InferenceModelRewrite: /);
  });

  test('the commands of the walkthrough work in bash and zsh', async () => {
    for (const program of ['bash', 'zsh'] as const) {
      const names = `DECODE_PODS=$(kubectl get pods -l "llm-d.ai/inferenceServing=true,llm-d.ai/role=decode" | tail -n 2 | awk '{print $1}')
        DECODE_POD_1=$(echo "$DECODE_PODS" | head -n 1)`;
      assert.match(
        await on.shell(program, `${names}; kubectl logs pod/\${DECODE_POD_1} -c routing-proxy`),
        /listening/,
      );
      assert.match(
        await on.shell(program, `${names}; kubectl logs pod/\${DECODE_POD_1} -c vllm`),
        /Application startup complete/,
      );
      const host = await on.shell(
        program,
        `kubectl get ingress llm-d-inference-gateway | tail -n 1 | awk '{print $3}'`,
      );
      assert.equal(host.trim(), 'llm-d-inference-gateway.localhost');
    }
  });

  test('both prompts are answered, by address and by the host of the Ingress; the second finds the first in a cache', async () => {
    const url = await on.gatewayUrl();
    const first = await complete(url, walkthroughModel, prompt1, 50);
    assert.equal(first.status, 200);
    const asked = await runCommand('curl', [
      ...['-s', '-i', '-H', 'Host: llm-d-inference-gateway.localhost', '-H', 'Content-Type: application/json'],
      ...['-d', JSON.stringify({ model: walkthroughModel, prompt: prompt2, max_tokens: 50 }), `${url}/v1/completions`],
    ]);
    assert.match(asked.stdout, /^HTTP\/1.1 200/);
    assert.match(asked.stdout, /"cached_tokens":[1-9]/);
    const endpoint = first.headers.get('x-signalbox-endpoint');
    assert.match(asked.stdout, new RegExp(`x-signalbox-endpoint: ${endpoint}`));
    const log = await on.shell(
      'bash',
      `EPP_POD=$(kubectl get pods -l "llm-d.ai/epp" | tail -n 1 | awk '{print $1}'); kubectl logs pod/\${EPP_POD}`,
    );
    for (const step of [
      'LLM request assembled',
      'Running scorer',
      'After running picker plugin',
      'Response generated',
    ]) {
      assert.ok(log.includes(step), step);
    }
    assert.equal(log.includes('learning to run benchmarks'), false, 'prompts are not logged');
  });
}
