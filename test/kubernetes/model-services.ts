import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually, repository, runCommand, type CommandResult } from '../support/command.ts';
import { namespace, stem, type OneNode } from './one-node.ts';

/** What is said of ModelServices, and many of them. */
export function modelServices(on: OneNode): void {
  test('a broken ModelService says in its status what is wrong, and others are not touched by it', async () => {
    const apply = (spec: string): Promise<CommandResult> =>
      runCommand('bash', ['-c', 'kubectl apply -f -'], {
        env: on.environment,
        input: `{apiVersion: llm-d.ai/v1alpha1, kind: ModelService, metadata: {name: broken}, spec: ${spec}}`,
      });
    const refused = await apply('{routing: {modelName: "two words"}}');
    assert.notEqual(refused.status, 0);
    assert.match(refused.stderr, /spec\.routing\.modelName/);
    const taken = await apply('{routing: {modelName: m}, baseConfigMapRef: {name: basic-sim-presett}}');
    assert.equal(taken.status, 0, taken.stderr);
    const path =
      'jsonpath={.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].message}';
    const message = await eventually('the status says it', 20_000, async () => {
      const said = await on.kubectl('get', 'modelservice', 'broken', '-o', path);
      return said.trim() === '' ? null : said;
    });
    assert.match(message, /^False there is no preset "basic-sim-presett".*did you mean "basic-sim-preset"/);
    await eventually('an event says it', 10_000, async () =>
      (await on.kubectl('get', 'events', '--field-selector', 'involvedObject.name=broken')).includes(
        'InvalidConfiguration',
      )
        ? true
        : null,
    );
    await on.kubectl('delete', 'modelservice', 'broken');
    await eventually('both decode pods are there', 60_000, async () =>
      (await on.decodePods()).length === 2 ? true : null,
    );
  });

  test('an autoscaler finds what it is to scale', async () => {
    const example = join(repository, 'deploy/autoscaling/hpa.yaml');
    await on.kubectl('apply', '-n', namespace, '-f', example);
    const able = 'jsonpath={.status.conditions[?(@.type=="AbleToScale")].reason} {.status.currentReplicas}';
    await eventually('it has read the scale', 60_000, async () =>
      (await on.kubectl('get', 'hpa', stem, '-n', namespace, '-o', able)) === 'SucceededGetScale 2' ? true : null,
    );
    await on.kubectl('delete', '-n', namespace, '-f', example);
  });

  test('two hundred ModelServices at once converge', async () => {
    const one = (index: number): string =>
      `{apiVersion: llm-d.ai/v1alpha1, kind: ModelService, metadata: {name: many-${index}}, spec: {routing: {modelName: m${index}}, baseConfigMapRef: {name: basic-sim-preset}, decode: {replicas: 0}, endpointPicker: {replicas: 0}}}`;
    const input = Array.from({ length: 200 }, (_, index) => one(index)).join('\n---\n');
    const env = on.environment;
    const applied = await runCommand('kubectl', ['apply', '-f', '-'], { env, input });
    assert.equal(applied.status, 0, applied.stderr);
    await eventually('all are ready', 180_000, async () => {
      const lines = (await on.kubectl('get', 'modelservices', '--no-headers')).split('\n');
      return lines.filter((line) => /^many-\d+ +True/.test(line)).length === 200 ? true : null;
    });
    const metrics = await on.kubectl(
      'get',
      '--raw',
      `/api/v1/namespaces/${namespace}/services/llm-d-modelservice:8443/proxy/metrics`,
    );
    const bytes = Number(/^process_resident_memory_bytes (\S+)$/m.exec(metrics)?.[1]);
    assert.ok(bytes < 400 * 1024 * 1024, `${bytes} bytes`);
    await on.kubectl('delete', 'modelservices', '--all', '--wait=false');
  });
}
