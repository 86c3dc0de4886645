import assert from 'node:assert/strict';
import { test } from 'node:test';
import { restartDelayMs } from '../../src/stack/container.ts';
import { age, podReport, podTable } from '../../src/stack/pod-report.ts';
import type { PodState } from '../../src/stack/state.ts';

const pod: PodState = {
  name: 'm-decode-7d4f959d99-4h8bc',
  component: 'decode',
  status: 'Running',
  createdAtMs: 1_000_000,
  labels: { 'llm-d.ai/role': 'decode' },
  hostedBy: null,
  containers: [
    { name: 'routing-proxy', ready: true, restarts: 1, port: 18001, process: { pid: 7, start: '1' } },
    { name: 'vllm', ready: false, restarts: 2, port: 18002, process: null },
  ],
};

test('a pod is reported with its ready containers, restarts and age', () => {
  const report = podReport(pod, 1_067_900);
  assert.deepEqual(
    [report.ready, report.restarts, report.ageSeconds, report.containers[0]!.pid, report.containers[1]!.pid],
    ['1/2', 3, 67, 7, null],
  );
  assert.equal(
    podTable([report]),
    'NAME                        READY   STATUS    RESTARTS   AGE\n' +
      'm-decode-7d4f959d99-4h8bc   1/2     Running   3          67s',
  );
});

test('ages are worded as kubectl words them', () => {
  const ages = [0, 67, 119, 120, 330, 720, 10_800, 11_100, 30_000, 180_000, 400_000, 800_000].map(age);
  assert.deepEqual(ages, ['0s', '67s', '119s', '2m', '5m30s', '12m', '3h', '3h5m', '8h', '2d2h', '4d15h', '9d']);
});

test('a container starts again at once, then ever later, up to ten seconds', () => {
  assert.deepEqual([1, 2, 3, 4, 5, 6, 7, 30].map(restartDelayMs), [0, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
});
