import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { testedEnvoy } from '../../src/stack/envoy-program.ts';
import { eventually, freePort, repository, runCommand, temporaryFolder } from '../support/command.ts';
import { complete } from '../support/stack.ts';
import { walkthroughModel } from '../support/walkthrough-prompts.ts';
import { namespace, stem, values, type OneNode } from './one-node.ts';

const classNamespace = 'class-test';
const gatewayClass = 'test-class';

/** What changes when the inference extension's kinds and the Gateway API are installed. */
export function gatewayApi(on: OneNode): void {
  test('kinds that are installed later are used: InferencePool, InferenceObjective, InferenceModelRewrite', async () => {
    await on.kubectl('apply', '-f', join(repository, 'test/kubernetes/crds'));
    await eventually('the InferencePool is made', 60_000, async () =>
      (await on.cluster.kubectl('get', 'inferencepool', `${stem}-inference-pool`, '-n', namespace)).status === 0
        ? true
        : null,
    );

    const poolRef = `poolRef: {name: ${stem}-inference-pool}`;
    const rule = `{matches: [{model: {value: latest}}], targets: [{modelRewrite: "${walkthroughModel}"}]}`;
    const { status, stderr } = await on.apply(`
apiVersion: llm-d.ai/v1alpha2
kind: InferenceModelRewrite
metadata: {name: latest}
spec: {${poolRef}, rules: [${rule}]}
---
apiVersion: llm-d.ai/v1alpha2
kind: InferenceObjective
metadata: {name: gold}
spec: {${poolRef}, priority: 7}`);
    assert.equal(status, 0, stderr);
    const url = await on.gatewayUrl();
    await eventually('requests for the other name are answered', 60_000, async () =>
      (await complete(url, 'latest', 'Hello', 4)).status === 200 ? true : null,
    );
    const response = await fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-llm-d-inference-objective': 'gold' },
      body: JSON.stringify({ model: walkthroughModel, prompt: 'Hello', max_tokens: 4 }),
    });
    assert.equal(response.status, 200);
    const admin = ['signalbox', 'explain', response.headers.get('x-request-id') ?? '', '--json'];
    const asked = ['--admin-url', 'http://127.0.0.1:9090'];
    const decision = await on.kubectl('exec', '-n', namespace, `deploy/${stem}-epp`, '--', ...admin, ...asked);
    assert.equal((JSON.parse(decision) as { admission: { band: string } }).admission.band, '7');
    await on.kubectl('delete', 'inferencemodelrewrite', 'latest', '-n', namespace);
    await eventually('the other name is unknown again', 10_000, async () =>
      (await complete(url, 'latest', 'Hello', 4)).status === 404 ? true : null,
    );
  });

  test('by a GatewayClass that is there: Gateway, HTTPRoute and InferencePool lead to the model, and Routed says so', async (t) => {
    const bin = on.environment.PATH.split(':')[0]!;
    const crds = readdirSync(bin).find((name) => name.startsWith('gateway-api-'));
    await on.kubectl('apply', '--server-side', '-f', join(bin, crds!));
    const applied = await on.apply(`
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: ${gatewayClass}}
spec: {controllerName: signalbox.test/envoy}`);
    assert.equal(applied.status, 0, applied.stderr);
    const port = await freePort();
    const listener = `gateway.listeners[0].name=http,gateway.listeners[0].port=${port}`;
    const installed = on.installer(
      ...['-n', classNamespace, '-f', values, '--gateway', gatewayClass, '--set', listener, '--wait', '180'],
    );
    const routed = async (): Promise<string> =>
      (await on.cluster.kubectl('get', 'modelservice', stem, '-n', classNamespace, '-o', condition('Routed'))).stdout;
    await eventually('nobody has taken the route yet', 60_000, async () =>
      /^Unknown Nobody has said yet that Gateway llm-d-inference-gateway/.test(await routed()) ? true : null,
    );
    await playGatewayController(t, on, port);
    await eventually('the route is taken', 30_000, async () => ((await routed()).startsWith('True ') ? true : null));
    const result = await installed;
    assert.equal(result.status, 0, result.stderr);
    assert.match(result.stdout, /^ready$/m);

    await setRouteStatus(on, 'False', 'the listener does not allow it');
    await eventually('it is refused', 30_000, async () =>
      /^False Gateway llm-d-inference-gateway: Accepted is False: the listener does not allow it/.test(await routed())
        ? true
        : null,
    );
    const removed = await on.installer('-n', classNamespace, '--uninstall');
    assert.equal(removed.status, 0, removed.stderr);
  });
}

function condition(type: string): string {
  const found = `.status.conditions[?(@.type=="${type}")]`;
  return `jsonpath={${found}.status} {${found}.message}`;
}

/** What a class's controller does: reads Gateway, HTTPRoute and InferencePool, runs an Envoy by them, tells where it listens. */
async function playGatewayController(t: TestContext, on: OneNode, port: number): Promise<void> {
  const read = async (kind: string, name: string, path: string): Promise<string> =>
    eventually(`${kind} ${name}`, 60_000, async () => {
      const { status, stdout } = await on.cluster.kubectl(
        'get',
        kind,
        name,
        '-n',
        classNamespace,
        '-o',
        `jsonpath=${path}`,
      );
      return status === 0 && stdout !== '' ? stdout : null;
    });
  const gateway = await read('httproute', `${stem}-route`, '{.spec.parentRefs[0].name}');
  assert.equal(await read('gateway', gateway, '{.spec.gatewayClassName}'), gatewayClass);
  const backend = await read(
    'httproute',
    `${stem}-route`,
    '{.spec.rules[0].backendRefs[0].kind} {.spec.rules[0].backendRefs[0].name}',
  );
  const [kind = '', pool = ''] = backend.split(' ');
  assert.equal(kind, 'InferencePool');
  const ref = await read('inferencepool', pool, '{.spec.endpointPickerRef.name} {.spec.endpointPickerRef.port.number}');
  const [service = '', pickerPort] = ref.split(' ');
  const picker = await read('service', service, '{.spec.clusterIP}');
  const host = on.cluster.nodeAddress.replace(/\d+$/, '1');
  const file = join(temporaryFolder(t), 'envoy.yaml');
  const flags = ['--host', host, '--port', String(port), '--epp', `${picker}:${pickerPort}`, '--endpoints-from-epp'];
  const written = await runCommand(join(repository, 'signalbox'), ['envoy-config', ...flags, '--output', file]);
  assert.equal(written.status, 0, written.stderr);
  const envoy = spawn(await testedEnvoy(), ['-c', file, '--disable-hot-restart', '-l', 'error'], { stdio: 'ignore' });
  t.after(async () => {
    envoy.kill('SIGKILL');
    await once(envoy, 'exit');
  });
  const status = { addresses: [{ type: 'IPAddress', value: host }] };
  await patchStatus(on, 'gateway', gateway, status);
  await setRouteStatus(on, 'True', 'taken');
}

async function setRouteStatus(on: OneNode, accepted: 'True' | 'False', message: string): Promise<void> {
  const at = { lastTransitionTime: new Date().toISOString() };
  const conditions = [
    {
      type: 'Accepted',
      status: accepted,
      reason: accepted === 'True' ? 'Accepted' : 'NotAllowedByListeners',
      message,
      ...at,
    },
    { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs', message: '', ...at },
  ];
  const parentRef = { name: 'llm-d-inference-gateway' };
  await patchStatus(on, 'httproute', `${stem}-route`, {
    parents: [{ parentRef, controllerName: 'signalbox.test/envoy', conditions }],
  });
}

async function patchStatus(on: OneNode, kind: string, name: string, status: object): Promise<void> {
  const patch = JSON.stringify({ status });
  await on.kubectl(
    'patch',
    kind,
    name,
    '-n',
    classNamespace,
    '--subresource',
    'status',
    '--type',
    'merge',
    '-p',
    patch,
  );
}
