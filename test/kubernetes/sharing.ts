import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SharingJson } from '../../src/admin/json.ts';
import { eventually } from '../support/command.ts';
import { redisImage } from './cluster/images.ts';
import { namespace, stem, values, type OneNode } from './one-node.ts';

const redisNamespace = 'redis';
const secret = 'sharing';

/** What a chart is given so that replicas share by the cluster's Redis; the Secret goes where the chart goes. */
export const sharedByRedis = [
  `gateway.shareSecret=${secret}`,
  'extraDeploy[0].apiVersion=v1',
  'extraDeploy[0].kind=Secret',
  `extraDeploy[0].metadata.name=${secret}`,
  `extraDeploy[0].stringData.url=redis://redis.${redisNamespace}:6379`,
].join(',');

/** A Redis in the cluster, and endpoint pickers that share by it. */
export function sharing(on: OneNode): void {
  test('a Redis for replicas that share', async () => {
    await on.kubectl('create', 'namespace', redisNamespace);
    const { status, stderr } = await on.apply(redis, redisNamespace);
    assert.equal(status, 0, stderr);
    await on.kubectl('rollout', 'status', 'deployment/redis', '-n', redisNamespace, '--timeout', '120s');
  });

  test('two endpoint pickers that share are replaced under load without a lost request, and know each other after it', async () => {
    const deployment = `deployment/${stem}-epp`;
    await on.underLoad(await on.gatewayUrl(), async () => {
      const sets = ['--set', 'modelservice.epp.replicas=2', '--set', sharedByRedis];
      const installed = await on.installer('-n', namespace, '-f', values, ...sets);
      assert.equal(installed.status, 0, installed.stderr);
      await knowEachOther(on, namespace, `llm-d.ai/epp=${stem}-epp`, 2);
      await on.kubectl('rollout', 'restart', deployment);
      await on.kubectl('rollout', 'status', deployment, '--timeout', '120s');
    });
    await knowEachOther(on, namespace, `llm-d.ai/epp=${stem}-epp`, 2);
  });
}

/** Waits until there are `count` replicas and each of them hears all the others. */
export async function knowEachOther(on: OneNode, within: string, selector: string, count: number): Promise<void> {
  await eventually(`${count} replicas of ${selector} know each other`, 120_000, async () => {
    const names = await on.kubectl('get', 'pods', '-n', within, '-l', selector, '-o', runningNames);
    const pods = names.split(' ').filter((name) => name !== '');
    if (pods.length !== count) return null;
    const all = await Promise.all(pods.map((pod) => sharingOf(on, within, pod)));
    return all.every((each) => each?.shares === true && each.up && each.peers.length === count - 1) ? true : null;
  });
}

/** Those that are not about to end. */
const runningNames =
  'go-template={{range .items}}{{if not .metadata.deletionTimestamp}}{{.metadata.name}} {{end}}{{end}}';

/** Null where it does not answer yet. */
async function sharingOf(on: OneNode, within: string, pod: string): Promise<SharingJson | null> {
  const ask = "fetch('http://127.0.0.1:9090/api/sharing').then(async (answer) => console.log(await answer.text()))";
  const { status, stdout } = await on.cluster.kubectl('exec', '-n', within, pod, '--', 'node', '-e', ask);
  return status === 0 ? (JSON.parse(stdout) as SharingJson) : null;
}

const redis = `
apiVersion: v1
kind: Service
metadata: {name: redis}
spec: {selector: {app: redis}, ports: [{port: 6379}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: redis}
spec:
  selector: {matchLabels: {app: redis}}
  template:
    metadata: {labels: {app: redis}}
    spec:
      containers:
        - name: redis
          image: ${redisImage}
          imagePullPolicy: IfNotPresent
          readinessProbe: {tcpSocket: {port: 6379}, periodSeconds: 1}
`;
