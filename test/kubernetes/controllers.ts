import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { eventually, freePort, repository, temporaryFolder } from '../support/command.ts';
import { FaultyApi } from './faulty-api.ts';
import type { OneNode } from './one-node.ts';

const namespace = 'controllers';

/** What becomes of controllers, run here as processes, when leaders die and the API server is not what it should be. */
export function controllers(on: OneNode): void {
  test('when the leading controller is killed the other takes over', async (t) => {
    await on.kubectl('create', 'namespace', namespace);
    const two = [await start(t, on.cluster.kubeconfig), await start(t, on.cluster.kubeconfig)];
    const leader = await eventually('one of two leads', 20_000, async () => {
      const leads = await Promise.all(two.map(isLeading));
      return leads.filter(Boolean).length === 1 ? two[leads.indexOf(true)]! : null;
    });
    await make(on, 'before');
    await ready(on, 'before');
    leader.child.kill('SIGKILL');
    await make(on, 'after');
    await ready(on, 'after');
    const other = two.find((each) => each !== leader)!;
    assert.equal(await isLeading(other), true);
    const path = 'jsonpath={.spec.leaseTransitions}';
    assert.equal(await on.kubectl('get', 'lease', 'llm-d-modelservice', '-n', namespace, '-o', path), '1');
  });

  test('one that is told to end lets go of its lease, and the other leads at once', async (t) => {
    const first = await start(t, on.cluster.kubeconfig, '--lease-seconds', '60');
    await eventually('it leads', 20_000, async () => ((await isLeading(first)) ? true : null));
    const second = await start(t, on.cluster.kubeconfig, '--lease-seconds', '60');
    first.child.kill('SIGTERM');
    await once(first.child, 'exit');
    await eventually('the other leads', 30_000, async () => ((await isLeading(second)) ? true : null));
  });

  test('what happens while the API server is out of reach and forgets is seen afterwards', async (t) => {
    const file = join(temporaryFolder(t), 'kubeconfig');
    const api = await FaultyApi.start(on.cluster.kubeconfig, file);
    t.after(() => api.close());
    await start(t, file, '--no-leader-elect');
    await make(on, 'kept');
    await make(on, 'deleted');
    await ready(on, 'kept');
    await ready(on, 'deleted');
    api.cut();
    await on.kubectl('delete', 'service', 'kept-epp-service', '-n', namespace);
    await on.kubectl('delete', 'modelservice', 'deleted', '-n', namespace);
    await make(on, 'made');
    // A server that starts knows nothing of the past.
    await on.cluster.restartApiServer();
    api.mend();
    await ready(on, 'made');
    await eventually('the Service is back', 30_000, async () =>
      (await on.cluster.kubectl('get', 'service', 'kept-epp-service', '-n', namespace)).status === 0 ? true : null,
    );
    assert.ok(api.expired > 0, 'no watch had expired');
  });

  test('writes that conflict are tried again', async (t) => {
    const file = join(temporaryFolder(t), 'kubeconfig');
    const api = await FaultyApi.start(on.cluster.kubeconfig, file);
    t.after(() => api.close());
    await start(t, file, '--no-leader-elect');
    api.refuseWrites(8);
    await make(on, 'contended');
    await ready(on, 'contended');
    assert.equal(api.conflicts, 8);
    await on.kubectl('delete', 'namespace', namespace, '--wait=false');
  });
}

interface Controller {
  readonly child: ChildProcess;
  readonly url: string;
}

async function start(t: TestContext, kubeconfig: string, ...flags: string[]): Promise<Controller> {
  const port = await freePort();
  const fixed = ['-n', namespace, '--image', 'example/signalbox:test', '--host', '127.0.0.1', '--port', String(port)];
  const lease = flags.length === 0 ? ['--lease-seconds', '3'] : [];
  const child = spawn(join(repository, 'signalbox'), ['controller', ...fixed, ...lease, ...flags], {
    env: { ...process.env, KUBECONFIG: kubeconfig },
    stdio: 'ignore',
  });
  t.after(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  const url = `http://127.0.0.1:${port}`;
  await eventually('the controller is up', 20_000, async () =>
    (await fetch(url).catch(() => null)) === null ? null : true,
  );
  return { child, url };
}

async function isLeading({ url }: Controller): Promise<boolean> {
  const response = await fetch(`${url}/metrics`).catch(() => null);
  return response !== null && /^leader_election_master_status 1$/m.test(await response.text());
}

/** A ModelService that needs no pods. */
async function make(on: OneNode, name: string): Promise<void> {
  const none = '{replicas: 0}';
  const spec = `{routing: {modelName: m}, baseConfigMapRef: {name: basic-sim-preset}, decode: ${none}, endpointPicker: ${none}}`;
  const object = `{apiVersion: llm-d.ai/v1alpha1, kind: ModelService, metadata: {name: ${name}}, spec: ${spec}}`;
  const { status, stderr } = await on.apply(object, namespace);
  assert.equal(status, 0, stderr);
}

async function ready(on: OneNode, name: string): Promise<void> {
  const path = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}';
  await eventually(`${name} is ready`, 60_000, async () =>
    (await on.kubectl('get', 'modelservice', name, '-n', namespace, '-o', path)) === 'True' ? true : null,
  );
}
