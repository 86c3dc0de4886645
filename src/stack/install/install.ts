import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { SignalboxError } from '../../base/errors.ts';
import { packageRoot } from '../package-root.ts';
import { readValues, type Values } from '../values.ts';
import { firstAnswer } from './first-answer.ts';
import { giveToken, mustHaveToken } from './model-token.ts';
import { gatewayName, ours, release } from './names.ts';
import { clusterTools, type ClusterTools } from './tools.ts';

export interface InstallOptions {
  readonly namespace: string;
  readonly valuesFile: string;
  /** A kubeconfig file. */
  readonly context?: string;
  readonly gateway?: string;
  readonly engine: 'auto' | 'vllm' | 'simulated';
  readonly set: readonly string[];
  readonly dryRun?: true;
  /** Seconds, or not at all. */
  readonly wait: number | false;
}

type Say = (text: string) => void;

const chart = join(packageRoot, 'deploy/chart');

/** @throws SignalboxError `usage` or `environment`, saying what to do */
export async function install(options: InstallOptions, say: Say): Promise<void> {
  const { namespace } = options;
  const { path, values } = findValues(options.valuesFile);
  const tools = await clusterTools(options.context, `./signalbox up -f ${options.valuesFile}`);
  // What --dry-run prints is for kubectl too: everything else is a comment there.
  const note: Say = options.dryRun ? (text) => say(text.replace(/^/gm, '# ')) : say;
  const sets = [...options.set];
  if (options.gateway !== undefined) sets.push(`gateway.gatewayClassName=${options.gateway}`);
  const simulated = await isSimulated(tools, options, values, note);
  if (simulated) sets.push('sampleApplication.baseConfigMapRefName=basic-sim-preset');
  const helm = ['-n', namespace, '-f', path, ...sets.flatMap((value) => ['--set', value])];
  if (options.dryRun) return dryRun(tools, namespace, helm, say);

  const gatewayClass = options.gateway ?? values.gateway.gatewayClassName ?? 'envoy';
  const isOwnGateway = gatewayClass === 'envoy' || gatewayClass === 'signalbox';
  if (!isOwnGateway) await mustHaveClass(tools, gatewayClass);
  if (!simulated) await mustHaveToken(tools, namespace, values, say);
  say(`Installing ${options.valuesFile} in namespace ${namespace}`);
  await tools.run('kubectl', ['apply', '--server-side', '--force-conflicts', '-f', join(chart, 'crds')]);
  if (!(await tools.succeeds('kubectl', ['get', 'namespace', namespace]))) {
    await tools.run('kubectl', ['create', 'namespace', namespace]);
    await tools.run('kubectl', ['label', 'namespace', namespace, ours]);
  }
  if (!simulated) await giveToken(tools, namespace, values, say);
  await tools.run('helm', ['upgrade', '--install', release, chart, '--skip-crds', ...helm]);
  await tools.run('kubectl', ['config', 'set-context', '--current', `--namespace=${namespace}`]);
  say(
    `  kubectl now looks at namespace ${namespace} (kubectl config set-context --current --namespace=default undoes that)`,
  );
  const model = values.sampleApplication.model.modelName;
  if (options.wait !== false) {
    say('  waiting until a request is answered …');
    await firstAnswer(tools, { namespace, model, isClass: !isOwnGateway, waitSeconds: options.wait });
    const all = await allReady(tools, namespace);
    say(all === null ? 'ready' : `ready; not all of it is there yet: ${all}`);
  }
  say(nextSteps(model, isOwnGateway));
}

/** Null once every pod is there; after a while, what is not. One that waits for a GPU may do so for long. */
async function allReady(tools: ClusterTools, namespace: string): Promise<string | null> {
  const of = ['-n', namespace, '-l', `app.kubernetes.io/instance=${release}`];
  const has = (kind: string, condition: string): Promise<boolean> =>
    tools.succeeds('kubectl', ['wait', kind, ...of, `--for=condition=${condition}`, '--timeout=120s']);
  if (!(await has('modelservices', 'Ready'))) {
    const why = 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].message}';
    return tools.run('kubectl', ['get', 'modelservices', ...of, '-o', why]);
  }
  // A pod of the gateway can have answered before it has been found ready.
  return (await has('deployments', 'Available')) ? null : `look at: kubectl get pods -n ${namespace}`;
}

/** Prints all that would be applied, as kubectl takes it. */
async function dryRun(tools: ClusterTools, namespace: string, helm: readonly string[], say: Say): Promise<void> {
  const version = await tools.run('kubectl', ['get', '--raw', '/version']);
  const { gitVersion } = JSON.parse(version) as { gitVersion: string };
  if ((process.env['HF_TOKEN'] ?? '') !== '') say('# HF_TOKEN would be put into a Secret, which is not shown');
  if (!(await tools.succeeds('kubectl', ['get', 'namespace', namespace]))) {
    say(`apiVersion: v1\nkind: Namespace\nmetadata: { name: ${namespace} }\n---`);
  }
  const further = ['--include-crds', '--kube-version', gitVersion];
  say((await tools.run('helm', ['template', release, chart, ...further, ...helm])).trimEnd());
}

function findValues(name: string): { path: string; values: Values } {
  const candidates = [resolve(name), join(packageRoot, 'quickstart', name), join(packageRoot, name)];
  const path = candidates.find((candidate) => existsSync(candidate));
  if (path === undefined) {
    throw new SignalboxError('usage', `there is no values file ${name}: looked for ${candidates.join(', ')}`);
  }
  return { path, values: readValues(readFileSync(path, 'utf8'), name) };
}

async function isSimulated(
  tools: ClusterTools,
  { engine }: InstallOptions,
  values: Values,
  say: Say,
): Promise<boolean> {
  if (engine !== 'auto') return engine === 'simulated';
  if (values.sampleApplication.baseConfigMapRefName === 'basic-sim-preset') return true;
  const gpus = await tools
    .run('kubectl', ['get', 'nodes', '-o', 'jsonpath={.items[*].status.allocatable.nvidia\\.com/gpu}'])
    .catch(() => 'unknown');
  if (gpus.trim() !== '') return false;
  say(
    'No node has a GPU (nvidia.com/gpu): the engines are simulated. With --engine vllm the pods wait for GPUs instead.',
  );
  return true;
}

/** @throws SignalboxError that says which GatewayClasses there are */
async function mustHaveClass(tools: ClusterTools, wanted: string): Promise<void> {
  const names = await tools.run('kubectl', ['get', 'gatewayclasses', '-o', 'name']).catch(() => '');
  const found = names.split('\n').flatMap((name) => name.split('/')[1] ?? []);
  if (found.includes(wanted)) return;
  const there = found.length === 0 ? 'this cluster has no GatewayClass' : `this cluster has ${found.join(', ')}`;
  throw new SignalboxError('environment', `--gateway ${wanted}: ${there}; envoy and signalbox need none`);
}

function nextSteps(model: string, isOwnGateway: boolean): string {
  const [way, url] = isOwnGateway
    ? [`kubectl port-forward svc/${gatewayName} 8080:80 &`, 'http://127.0.0.1:8080']
    : [`GATEWAY=$(kubectl get gateway ${gatewayName} -o jsonpath='{.status.addresses[0].value}')`, 'http://$GATEWAY'];
  return `
Next:
  kubectl get pods
  kubectl logs -l llm-d.ai/epp -f
  ${way}
  curl -i ${url}/v1/completions -H 'Content-Type: application/json' \\
    -d '{"model": "${model}", "prompt": "Hello", "max_tokens": 20}'`;
}
