import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complete } from '../support/stack.ts';
import { prompt1, walkthroughModel } from '../support/walkthrough-prompts.ts';
import { namespace, values, type OneNode } from './one-node.ts';
import { knowEachOther, sharedByRedis } from './sharing.ts';

/** An install beside the first. */
export function secondInstall(on: OneNode): void {
  test('a second namespace, with gateways that have the scheduler in them and share, beside the first; uninstall leaves the rest', async () => {
    const result = await on.installer(
      '-n',
      'second',
      '-f',
      values,
      '--gateway',
      'signalbox',
      '--set',
      'networkPolicy.enabled=true',
      '--set',
      'gateway.replicas=2',
      '--set',
      sharedByRedis,
    );
    assert.equal(result.status, 0, result.stderr + result.stdout);
    const pods = await on.kubectl('get', 'pods', '-n', 'second', '--no-headers');
    assert.equal(pods.trim().split('\n').length, 5, pods);
    assert.equal((await complete(await on.gatewayUrl('second'), walkthroughModel, prompt1, 8)).status, 200);
    assert.match(
      await on.kubectl('logs', '-n', 'second', '-l', 'llm-d.ai/epp', '--tail', '50'),
      /After running picker plugin/,
    );
    await on.underLoad(await on.gatewayUrl('second'), async () => {
      const [pod] = (await on.kubectl('get', 'pods', '-n', 'second', '-l', 'llm-d.ai/role=decode', '-o', 'name')).split(
        '\n',
      );
      await on.kubectl('delete', '-n', 'second', pod!);
    });

    const gateways = ['second', 'app=llm-d-inference-gateway', 2] as const;
    await knowEachOther(on, ...gateways);
    await on.underLoad(await on.gatewayUrl('second'), async () => {
      await on.kubectl('rollout', 'restart', '-n', 'second', 'deployment/llm-d-inference-gateway');
      await on.kubectl('rollout', 'status', '-n', 'second', 'deployment/llm-d-inference-gateway', '--timeout', '120s');
    });
    await knowEachOther(on, ...gateways);

    const removed = await on.installer('-n', 'second', '--uninstall');
    assert.equal(removed.status, 0, removed.stderr);
    assert.equal((await on.cluster.kubectl('get', 'namespace', 'second')).status, 1);
    assert.equal((await complete(await on.gatewayUrl(), walkthroughModel, prompt1, 8)).status, 200);
    assert.equal((await on.cluster.kubectl('get', 'crd', 'modelservices.llm-d.ai')).status, 0);
  });
}

/** The end of the first. */
export function uninstall(on: OneNode): void {
  test('uninstall takes what install made', async () => {
    const removed = await on.installer('-n', namespace, '-u');
    assert.equal(removed.status, 0, removed.stderr);
    assert.equal((await on.cluster.kubectl('get', 'namespace', namespace)).status, 1, removed.stdout);
  });
}
