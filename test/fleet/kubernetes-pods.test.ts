import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpointsOf } from '../../src/fleet/discovery/kubernetes-pods.ts';

function pod(status: object, metadata: object = {}) {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'pod-1', labels: { a: 'b' }, ...metadata }, status };
}

const ready = { phase: 'Running', podIP: '10.0.0.1', conditions: [{ type: 'Ready', status: 'True' }] };

test('a pod is an endpoint at each target port, by its name or its rank', () => {
  assert.deepEqual(endpointsOf(pod(ready), [8000]), [
    { name: 'pod-1', address: '10.0.0.1:8000', labels: { a: 'b' }, ready: true },
  ]);
  assert.deepEqual(
    endpointsOf(pod({ ...ready, podIP: 'fd00::1' }), [8000, 8001]).map(({ name, address }) => `${name} ${address}`),
    ['pod-1-rank-0 [fd00::1]:8000', 'pod-1-rank-1 [fd00::1]:8001'],
  );
});

test('a pod that is loading or to end is known and not ready; one that has ended or has no address is none', () => {
  const isReady = (status: object, metadata?: object): boolean[] =>
    endpointsOf(pod(status, metadata), [8000]).map((endpoint) => endpoint.ready);
  assert.deepEqual(isReady({ ...ready, conditions: [{ type: 'Ready', status: 'False' }] }), [false]);
  assert.deepEqual(isReady(ready, { deletionTimestamp: '2026-01-01T00:00:00Z' }), [false]);
  assert.deepEqual(isReady({ ...ready, phase: 'Failed' }), []);
  assert.deepEqual(isReady({ phase: 'Pending' }), []);
});
