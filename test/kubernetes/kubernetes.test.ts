import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, repository, runCommand, type CommandResult } from '../support/command.ts';
import { complete } from '../support/stack.ts';
import { prompt1, prompt2, walkthroughModel } from '../support/walkthrough-prompts.ts';
import { startCluster, type Cluster } from './cluster/cluster.ts';

/** The walkthrough on a real Kubernetes of one node, with real pods, Services, DNS and Helm. */
let cluster: Cluster;
const stem = 'meta-llama-llama-3-2-3b-instruct';
const namespace = 'greg-test';
const values = 'examples/base/prefix-and-load-aware.yaml';

before(async () => {
  cluster = await startCluster();
});
after(() => cluster?.stop());

async function kubectl(...commandArguments: string[]): Promise<string> {
  const { status, stdout, stderr } = await cluster.kubectl(...commandArguments);
  assert.equal(status, 0, `kubectl ${commandArguments.join(' ')}: ${stderr}`);
  return stdout;
}

function installer(...commandArguments: string[]): Promise<CommandResult> {
  const script = join(repository, 'quickstart/llmd-installer.sh');
  const env = { KUBECONFIG: cluster.kubeconfig, PATH: cluster.path };
  return runCommand('sh', [script, ...commandArguments], { cwd: join(repository, 'quickstart'), env });
}

/** A command of the walkthrough, in a shell. */
async function shell(program: 'bash' | 'zsh', script: string): Promise<string> {
  const env = { KUBECONFIG: cluster.kubeconfig, PATH: cluster.path };
  const { status, stdout, stderr } = await runCommand(program, ['-c', script], { env });
  assert.equal(status, 0, stderr);
  return stdout;
}

async function gatewayUrl(inNamespace = namespace): Promise<string> {
  const path = 'jsonpath={.spec.ports[0].nodePort}';
  const port = await kubectl('get', 'service', 'llm-d-inference-gateway', '-n', inNamespace, '-o', path);
  return `http://${cluster.nodeAddress}:${port}`;
}

async function decodePods(): Promise<string[]> {
  const lines = await kubectl('get', 'pods', '-n', namespace, '-l', 'llm-d.ai/role=decode', '--no-headers');
  return lines
    .split('\n')
    .filter((line) => / 2\/2 +Running/.test(line))
    .map((line) => line.split(' ')[0]!);
}

/** Requests without pause while `step` runs and a little longer. Every one must be answered in full. */
async function underLoad(url: string, step: () => Promise<unknown>): Promise<void> {
  let going = true;
  const failures: string[] = [];
  let answered = 0;
  const user = async (index: number): Promise<void> => {
    for (let turn = 0; going; turn++) {
      try {
        const { status, body } = await complete(url, walkthroughModel, `user ${index} turn ${turn}`, 20);
        if (status === 200 && body.choices.length === 1) answered += 1;
        else failures.push(`${status} ${JSON.stringify(body)}`);
      } catch (error) {
        failures.push(String(error));
      }
    }
  };
  const users = Array.from({ length: 6 }, (_, index) => user(index));
  try {
    await step();
    await new Promise((done) => setTimeout(done, 2000));
  } finally {
    going = false;
    await Promise.all(users);
  }
  assert.deepEqual(failures, [], `${answered} were answered`);
  assert.ok(answered > 10, `only ${answered} were answered`);
}

test('the installer brings up the pods of the walkthrough and waits for an answer', async () => {
  const result = await installer('--namespace', namespace, '--values-file', values);
  assert.equal(result.status, 0, result.stderr + result.stdout);
  assert.match(result.stdout, /No node has a GPU/);
  assert.match(result.stdout, /^ready$/m);
  const pods = await kubectl('get', 'pods');
  assert.match(pods, /llm-d-inference-gateway-\S+ +1\/1 +Running/);
  assert.match(pods, /llm-d-modelservice-\S+ +1\/1 +Running/);
  assert.match(pods, new RegExp(`${stem}-epp-\\S+ +1/1 +Running`));
  assert.match(pods, new RegExp(`(${stem}-decode-\\S+ +2/2 +Running[^\\n]*\\n){2}`));
  assert.equal(pods.trim().split('\n').length, 6, pods);
  assert.match(await kubectl('get', 'modelservices'), new RegExp(`${stem} +True +2/2 +0/0 +1/1 +Ready`));
});

test('the commands of the walkthrough work in bash and zsh', async () => {
  for (const program of ['bash', 'zsh'] as const) {
    const names = `DECODE_PODS=$(kubectl get pods -l "llm-d.ai/inferenceServing=true,llm-d.ai/role=decode" | tail -n 2 | awk '{print $1}')
      DECODE_POD_1=$(echo "$DECODE_PODS" | head -n 1)`;
    assert.match(await shell(program, `${names}; kubectl logs pod/\${DECODE_POD_1} -c routing-proxy`), /listening/);
    assert.match(
      await shell(program, `${names}; kubectl logs pod/\${DECODE_POD_1} -c vllm`),
      /Application startup complete/,
    );
    const host = await shell(program, `kubectl get ingress llm-d-inference-gateway | tail -n 1 | awk '{print $3}'`);
    assert.equal(host.trim(), 'llm-d-inference-gateway.localhost');
  }
});

test('both prompts are answered, by address and by the host of the Ingress; the second finds the first in a cache', async () => {
  const url = await gatewayUrl();
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
  const log = await shell(
    'bash',
    `EPP_POD=$(kubectl get pods -l "llm-d.ai/epp" | tail -n 1 | awk '{print $1}'); kubectl logs pod/\${EPP_POD}`,
  );
  for (const step of ['LLM request assembled', 'Running scorer', 'After running picker plugin', 'Response generated']) {
    assert.ok(log.includes(step), step);
  }
  assert.equal(log.includes('learning to run benchmarks'), false, 'prompts are not logged');
});

test('scaling up and down, a deleted pod and a rolling update lose no request', async () => {
  const url = await gatewayUrl();
  const scaled = (count: number): Promise<unknown> =>
    eventually(`${count} decode pods`, 90_000, async () => ((await decodePods()).length === count ? true : null));
  await underLoad(url, async () => {
    await kubectl('scale', 'modelservice', stem, '--replicas', '3');
    await scaled(3);
    await kubectl('delete', 'pod', (await decodePods())[0]!);
    await scaled(3);
    await kubectl('scale', 'modelservice', stem, '--replicas', '2');
    await scaled(2);
    await kubectl('rollout', 'restart', `deployment/${stem}-decode`);
    await kubectl('rollout', 'status', `deployment/${stem}-decode`, '--timeout', '120s');
  });
});

test('the endpoint picker is replaced under load without a lost request', async () => {
  await underLoad(await gatewayUrl(), async () => {
    await kubectl('rollout', 'restart', `deployment/${stem}-epp`);
    await kubectl('rollout', 'status', `deployment/${stem}-epp`, '--timeout', '120s');
  });
});

test('what somebody changes or deletes is put right', async () => {
  await kubectl('delete', 'service', `${stem}-epp-service`);
  await kubectl('scale', 'deployment', `${stem}-decode`, '--replicas', '1');
  await eventually('the Service and both pods are back', 30_000, async () => {
    const service = await cluster.kubectl('get', 'service', `${stem}-epp-service`);
    const replicas = await kubectl('get', 'deployment', `${stem}-decode`, '-o', 'jsonpath={.spec.replicas}');
    return service.status === 0 && replicas === '2' ? true : null;
  });
  const url = await gatewayUrl();
  await eventually('requests are answered again', 60_000, async () => {
    const response = await fetch(`${url}/v1/models`).catch(() => null);
    return response?.ok === true && (await decodePods()).length === 2 ? true : null;
  });
});

test('a broken ModelService says in its status what is wrong, and others are not touched by it', async () => {
  const apply = (spec: string): Promise<CommandResult> =>
    runCommand('bash', ['-c', 'kubectl apply -f -'], {
      env: { KUBECONFIG: cluster.kubeconfig, PATH: cluster.path },
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
    const said = await kubectl('get', 'modelservice', 'broken', '-o', path);
    return said.trim() === '' ? null : said;
  });
  assert.match(message, /^False there is no preset "basic-sim-presett".*did you mean "basic-sim-preset"/);
  await eventually('an event says it', 10_000, async () =>
    (await kubectl('get', 'events', '--field-selector', 'involvedObject.name=broken')).includes('InvalidConfiguration')
      ? true
      : null,
  );
  await kubectl('delete', 'modelservice', 'broken');
  await eventually('both decode pods are there', 60_000, async () => ((await decodePods()).length === 2 ? true : null));
});

test('the API server goes away and comes back: requests go on, and changes are seen afterwards', async () => {
  const url = await gatewayUrl();
  await underLoad(url, () => cluster.restartApiServer());
  await kubectl('scale', 'modelservice', stem, '--replicas', '3');
  await eventually('a third pod', 90_000, async () => ((await decodePods()).length === 3 ? true : null));
  await kubectl('scale', 'modelservice', stem, '--replicas', '2');
});

test('a second namespace, with the gateway that has the scheduler in it, beside the first; uninstall leaves the rest', async () => {
  const result = await installer(
    '-n',
    'second',
    '-f',
    values,
    '--gateway',
    'signalbox',
    '--set',
    'networkPolicy.enabled=true',
  );
  assert.equal(result.status, 0, result.stderr + result.stdout);
  const pods = await kubectl('get', 'pods', '-n', 'second', '--no-headers');
  assert.equal(pods.trim().split('\n').length, 4, pods);
  assert.equal((await complete(await gatewayUrl('second'), walkthroughModel, prompt1, 8)).status, 200);
  assert.match(
    await kubectl('logs', '-n', 'second', '-l', 'llm-d.ai/epp', '--tail', '50'),
    /After running picker plugin/,
  );
  await underLoad(await gatewayUrl('second'), async () => {
    const [pod] = (await kubectl('get', 'pods', '-n', 'second', '-l', 'llm-d.ai/role=decode', '-o', 'name')).split(
      '\n',
    );
    await kubectl('delete', '-n', 'second', pod!);
  });

  const removed = await installer('-n', 'second', '--uninstall');
  assert.equal(removed.status, 0, removed.stderr);
  assert.equal((await cluster.kubectl('get', 'namespace', 'second')).status, 1);
  assert.equal((await complete(await gatewayUrl(), walkthroughModel, prompt1, 8)).status, 200);
  assert.equal((await cluster.kubectl('get', 'crd', 'modelservices.llm-d.ai')).status, 0);
});

test('an upgrade with other values keeps serving', async () => {
  await underLoad(await gatewayUrl(), async () => {
    const result = await installer('-n', namespace, '-f', 'examples/base/session-and-load-aware.yaml');
    assert.equal(result.status, 0, result.stderr);
  });
});

test('a real API server accepts all that is rendered', async () => {
  const text = (file: string): string => readFileSync(join(repository, 'examples', file), 'utf8');
  const files = readdirSync(join(repository, 'examples'), { recursive: true, encoding: 'utf8' });
  const examples = files.filter((file) => file.endsWith('.yaml') && text(file).includes('sampleApplication:'));
  assert.ok(examples.length >= 4);
  for (const example of examples) {
    for (const gateway of ['envoy', 'signalbox']) {
      const sets = 'networkPolicy.enabled=true,modelservice.epp.metrics.authenticated=true';
      const script = `helm template x "$CHART" -n default --kube-version 1.34.0 -f "$VALUES" --set gateway.gatewayClassName=${gateway},${sets} | kubectl apply -n default --dry-run=server -f -`;
      const env = { CHART: join(repository, 'deploy/chart'), VALUES: join(repository, 'examples', example) };
      const { status, stderr } = await runCommand('bash', ['-o', 'pipefail', '-c', script], {
        env: { ...env, KUBECONFIG: cluster.kubeconfig, PATH: cluster.path },
      });
      assert.equal(status, 0, `${example}, ${gateway}: ${stderr}`);
    }
  }
});

test('two hundred ModelServices at once converge', async () => {
  const one = (index: number): string =>
    `{apiVersion: llm-d.ai/v1alpha1, kind: ModelService, metadata: {name: many-${index}}, spec: {routing: {modelName: m${index}}, baseConfigMapRef: {name: basic-sim-preset}, decode: {replicas: 0}, endpointPicker: {replicas: 0}}}`;
  const input = Array.from({ length: 200 }, (_, index) => one(index)).join('\n---\n');
  const env = { KUBECONFIG: cluster.kubeconfig, PATH: cluster.path };
  const applied = await runCommand('kubectl', ['apply', '-f', '-'], { env, input });
  assert.equal(applied.status, 0, applied.stderr);
  await eventually('all are ready', 180_000, async () => {
    const lines = (await kubectl('get', 'modelservices', '--no-headers')).split('\n');
    return lines.filter((line) => /^many-\d+ +True/.test(line)).length === 200 ? true : null;
  });
  const metrics = await kubectl(
    'get',
    '--raw',
    `/api/v1/namespaces/${namespace}/services/llm-d-modelservice:8443/proxy/metrics`,
  );
  const bytes = Number(/^process_resident_memory_bytes (\S+)$/m.exec(metrics)?.[1]);
  assert.ok(bytes < 400 * 1024 * 1024, `${bytes} bytes`);
  await kubectl('delete', 'modelservices', '--all', '--wait=false');
});

test('uninstall takes what install made', async () => {
  const removed = await installer('-n', namespace, '-u');
  assert.equal(removed.status, 0, removed.stderr);
  assert.equal((await cluster.kubectl('get', 'namespace', namespace)).status, 1, removed.stdout);
});
