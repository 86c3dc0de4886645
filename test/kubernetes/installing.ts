import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { runCommand, temporaryFolder } from '../support/command.ts';
import { values, type OneNode } from './one-node.ts';

/** Before anything is installed: what is said and refused, and tokens for gated models. */
export function installing(on: OneNode): void {
  test('--dry-run prints what kubectl would take, and changes nothing', async () => {
    const env = { HF_TOKEN: 'hf_not_for_anybody' };
    const { status, stdout, stderr } = await on.installerWith(env, '-n', 'dry', '-f', values, '--dry-run');
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^# No node has a GPU/m);
    assert.match(stdout, /^kind: ModelService$/m);
    assert.equal(stdout.includes(env.HF_TOKEN), false);
    assert.notEqual((await on.cluster.kubectl('get', 'namespace', 'dry')).status, 0);
    // Kubernetes' own kinds; the new one is not known before its definition is applied.
    const documents = stdout.split(/^---$/m).filter((document) => !/^apiVersion: llm-d\.ai/m.test(document));
    const accepted = await runCommand('kubectl', ['apply', '--dry-run=client', '--validate=false', '-f', '-'], {
      env: on.environment,
      input: documents.join('---'),
    });
    assert.equal(accepted.status, 0, accepted.stderr);
  });

  test('a GatewayClass that is not there is refused before anything is made', async () => {
    const refused = await on.installer('-n', 'classless', '-f', values, '--gateway', 'istio');
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /--gateway istio: this cluster has no GatewayClass; envoy and signalbox need none/);
    assert.notEqual((await on.cluster.kubectl('get', 'namespace', 'classless')).status, 0);
  });

  test('a gated model needs a token, which goes into its Secret and nowhere else', async (t) => {
    const hub = await startHub(t);
    const file = join(temporaryFolder(t), 'gated.yaml');
    const model = '{modelArtifactURI: "hf://gated/model", modelName: gated/model}';
    writeFileSync(file, `sampleApplication: {model: ${model}, decode: {replicas: 1}, prefill: {replicas: 0}}\n`);
    const install = ['-n', 'gated', '-f', file, '--engine', 'vllm', '--no-wait', '--set', 'gateway.enabled=false'];

    const refused = await on.installerWith({ HF_ENDPOINT: hub, HF_TOKEN: '' }, ...install);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /hf:\/\/gated\/model is a gated model: set HF_TOKEN/);
    assert.notEqual((await on.cluster.kubectl('get', 'namespace', 'gated')).status, 0, 'nothing was made');

    const token = 'hf_only_for_the_secret';
    const given = await on.installerWith({ HF_ENDPOINT: hub, HF_TOKEN: token }, ...install);
    assert.equal(given.status, 0, given.stderr);
    const path = 'jsonpath={.data.HF_TOKEN}';
    const secret = await on.kubectl('get', 'secret', 'llm-d-hf-token', '-n', 'gated', '-o', path);
    assert.equal(Buffer.from(secret, 'base64').toString(), token);
    await on.kubectl(
      'wait',
      '-n',
      'gated',
      '--for=condition=Available',
      'deployment/llm-d-modelservice',
      '--timeout=60s',
    );
    await on.kubectl('wait', '-n', 'gated', '--for=condition=Applied', 'modelservice/gated-model', '--timeout=60s');
    const release = await runCommand('helm', ['get', 'all', 'llm-d', '-n', 'gated'], { env: on.environment });
    const everything = [
      given.stdout + given.stderr + release.stdout,
      await on.kubectl(
        'get',
        'modelservices,deployments,replicasets,pods,configmaps,events',
        '-n',
        'gated',
        '-o',
        'yaml',
      ),
      await on.kubectl('logs', '-n', 'gated', 'deployment/llm-d-modelservice'),
    ].join('\n');
    for (const hidden of [token, secret]) assert.equal(everything.includes(hidden), false, hidden);
    assert.match(everything, /secretKeyRef:\s+key: HF_TOKEN\s+name: llm-d-hf-token/);

    // Whoever has given it once need not again.
    const again = await on.installerWith({ HF_ENDPOINT: hub, HF_TOKEN: '' }, ...install);
    assert.equal(again.status, 0, again.stderr);
    assert.equal((await on.installer('-n', 'gated', '--uninstall')).status, 0);
  });
}

/** What Hugging Face's hub says of a model that is gated. */
async function startHub(t: TestContext): Promise<string> {
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ id: request.url, gated: 'manual' }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
