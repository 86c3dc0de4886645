import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../support/command.ts';
import { namespace, stem, type OneNode } from './one-node.ts';

/** What happens to pods while requests go on: none is lost. */
export function underLoad(on: OneNode): void {
  test('scaling up and down, a deleted pod and a rolling update lose no request', async () => {
    const url = await on.gatewayUrl();
    const scaled = (count: number): Promise<unknown> =>
      eventually(`${count} decode pods`, 90_000, async () => ((await on.decodePods()).length === count ? true : null));
    await on.underLoad(url, async () => {
      await on.kubectl('scale', 'modelservice', stem, '--replicas', '3');
      await scaled(3);
      await on.kubectl('delete', 'pod', (await on.decodePods())[0]!);
      await scaled(3);
      await on.kubectl('scale', 'modelservice', stem, '--replicas', '2');
      await scaled(2);
      await on.kubectl('rollout', 'restart', `deployment/${stem}-decode`);
      await on.kubectl('rollout', 'status', `deployment/${stem}-decode`, '--timeout', '120s');
    });
  });

  test('a pod that is killed without warning loses no request', async () => {
    await on.underLoad(await on.gatewayUrl(), async () => {
      await on.kubectl('delete', 'pod', (await on.decodePods())[0]!, '--force', '--grace-period=0');
      await eventually('another has taken its place', 90_000, async () =>
        (await on.decodePods()).length === 2 ? true : null,
      );
    });
  });

  test('scaled to nothing and back, requests wait and are answered', async () => {
    await on.underLoad(await on.gatewayUrl(), async () => {
      await on.kubectl('scale', 'modelservice', stem, '--replicas', '0');
      await eventually('no decode pod', 90_000, async () => ((await on.decodePods()).length === 0 ? true : null));
      await on.kubectl('scale', 'modelservice', stem, '--replicas', '2');
      await eventually('two again', 90_000, async () => ((await on.decodePods()).length === 2 ? true : null));
    });
  });

  test('the endpoint picker is replaced under load without a lost request', async () => {
    await on.underLoad(await on.gatewayUrl(), async () => {
      await on.kubectl('rollout', 'restart', `deployment/${stem}-epp`);
      await on.kubectl('rollout', 'status', `deployment/${stem}-epp`, '--timeout', '120s');
    });
  });

  test('what somebody changes or deletes is put right', async () => {
    await on.kubectl('delete', 'service', `${stem}-epp-service`);
    await on.kubectl('scale', 'deployment', `${stem}-decode`, '--replicas', '1');
    await eventually('the Service and both pods are back', 30_000, async () => {
      const service = await on.cluster.kubectl('get', 'service', `${stem}-epp-service`);
      const replicas = await on.kubectl('get', 'deployment', `${stem}-decode`, '-o', 'jsonpath={.spec.replicas}');
      return service.status === 0 && replicas === '2' ? true : null;
    });
    const url = await on.gatewayUrl();
    await eventually('requests are answered again', 60_000, async () => {
      const response = await fetch(`${url}/v1/models`).catch(() => null);
      return response?.ok === true && (await on.decodePods()).length === 2 ? true : null;
    });
  });

  test('the API server goes away and comes back: requests go on, and changes are seen afterwards', async () => {
    const url = await on.gatewayUrl();
    await on.underLoad(url, () => on.cluster.restartApiServer());
    await on.kubectl('scale', 'modelservice', stem, '--replicas', '3');
    await eventually('a third pod', 90_000, async () => ((await on.decodePods()).length === 3 ? true : null));
    await on.kubectl('scale', 'modelservice', stem, '--replicas', '2');
  });

  test('an upgrade with other values keeps serving', async () => {
    await on.underLoad(await on.gatewayUrl(), async () => {
      const result = await on.installer('-n', namespace, '-f', 'examples/base/session-and-load-aware.yaml');
      assert.equal(result.status, 0, result.stderr);
    });
  });
}
