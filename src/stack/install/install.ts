import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { SignalboxError } from '../../base/errors.ts';
import { packageRoot } from '../package-root.ts';
import { readValues, type Values } from '../values.ts';
import { firstAnswer } from './first-answer.ts';
import { ClusterTools } from './tools.ts';

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

const release = 'llm-d';
const chart = join(packageRoot, 'deploy/chart');
const ours = 'app.kubernetes.io/managed-by=signalbox-install';

/** @throws SignalboxError `usage` or `environment`, saying what to do */
export async function install(options: InstallOptions, say: Say): Promise<void> {
  const { namespace } = options;
  const { path, values } = findValues(options.valuesFile);
  const tools = await clusterTools(options.context, `./signalbox up -f ${options.valuesFile}`);
  const sets = [...options.set];
  if (options.gateway !== undefined) sets.push(`gateway.gatewayClassName=${options.gateway}`);
  const simulated = await isSimulated(tools, options, values, say);
  if (simulated) sets.push('sampleApplication.baseConfigMapRefName=basic-sim-preset');
  const helm = ['-n', namespace, '-f', path, ...sets.flatMap((value) => ['--set', value])];
  if (options.dryRun) {
    const { gitVersion } = JSON.parse(await tools.run('kubectl', ['get', '--raw', '/version'])) as {
      gitVersion: string;
    };
    const rendered = await tools.run('helm', ['template', release, chart, '--kube-version', gitVersion, ...helm]);
    return say(rendered);
  }

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
  const gatewayClass = options.gateway ?? values.gateway.gatewayClassName ?? 'envoy';
  const isOwnGateway = gatewayClass === 'envoy' || gatewayClass === 'signalbox';
  if (options.wait !== false && isOwnGateway) {
    say('  waiting until a request is answered …');
    await firstAnswer(tools, { namespace, model, gateway: 'svc/llm-d-inference-gateway', waitSeconds: options.wait });
    say('ready');
  }
  say(nextSteps(model));
}

/** @throws SignalboxError `environment` */
export async function uninstall(
  { namespace, context }: { namespace: string; context?: string },
  say: Say,
): Promise<void> {
  const tools = await clusterTools(context, './signalbox down');
  if (await tools.succeeds('helm', ['status', release, '-n', namespace])) {
    await tools.run('helm', ['uninstall', release, '-n', namespace, '--wait']);
    await tools.run('kubectl', ['delete', 'secret', '-n', namespace, '-l', ours, '--ignore-not-found']);
    await tools.run('kubectl', ['delete', 'lease', '-n', namespace, 'llm-d-modelservice', '--ignore-not-found']);
    say(`removed ${release} from namespace ${namespace}; the ModelService CRD stays, as others may use it`);
  } else {
    say(`there is no ${release} in namespace ${namespace}`);
  }
  const isOurs = (await tools.run('kubectl', ['get', 'namespace', '-l', ours, '-o', 'name']))
    .split('\n')
    .includes(`namespace/${namespace}`);
  if (!isOurs) return;
  // Pods of what was just removed may still be ending; whatever anybody else has put there keeps the namespace.
  const others = await tools.run('kubectl', [
    'get',
    'deployments,statefulsets,daemonsets,jobs,persistentvolumeclaims',
    '-n',
    namespace,
    '-o',
    'name',
  ]);
  if (others.split('\n').some((name) => name !== '' && !isOfModel(name)))
    return say(`namespace ${namespace} stays: it holds ${others.trim().replaceAll('\n', ', ')}`);
  await tools.run('kubectl', ['delete', 'namespace', namespace]);
  say(`removed namespace ${namespace}`);
}

/** A Deployment that goes with its ModelService. */
function isOfModel(name: string): boolean {
  return /^deployment\.apps\/.*-(decode|prefill|epp)$/.test(name);
}

function findValues(name: string): { path: string; values: Values } {
  const candidates = [resolve(name), join(packageRoot, 'quickstart', name), join(packageRoot, name)];
  const path = candidates.find((candidate) => existsSync(candidate));
  if (path === undefined) {
    throw new SignalboxError('usage', `there is no values file ${name}: looked for ${candidates.join(', ')}`);
  }
  return { path, values: readValues(readFileSync(path, 'utf8'), name) };
}

async function clusterTools(kubeconfig: string | undefined, instead: string): Promise<ClusterTools> {
  const tools = new ClusterTools(kubeconfig);
  const here = `\nThe same on this machine, without Kubernetes: ${instead}`;
  for (const [program, args] of [
    ['kubectl', ['version', '--client']],
    ['helm', ['version']],
  ] as const) {
    if (!(await tools.succeeds(program, args).catch(() => false))) {
      throw new SignalboxError('environment', `${program} is needed, and is not on the PATH${here}`);
    }
  }
  if (!(await tools.succeeds('kubectl', ['get', '--raw', '/readyz', '--request-timeout=10s']))) {
    throw new SignalboxError('environment', `kubectl reaches no cluster (kubectl cluster-info says why)${here}`);
  }
  return tools;
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

/** Puts HF_TOKEN into a Secret; says what is missing when the model is known to be gated. */
async function giveToken(tools: ClusterTools, namespace: string, values: Values, say: Say): Promise<void> {
  const { modelArtifactURI, auth } = values.sampleApplication.model;
  const token = process.env['HF_TOKEN'] ?? '';
  const { name = 'llm-d-hf-token', key = 'HF_TOKEN' } = (auth?.hfToken ?? {}) as { name?: string; key?: string };
  if (token === '') {
    if (
      !(await isGated(modelArtifactURI)) ||
      (await tools.succeeds('kubectl', ['get', 'secret', name, '-n', namespace]))
    )
      return;
    throw new SignalboxError(
      'environment',
      `${modelArtifactURI} is a gated model: set HF_TOKEN to a token that may read it`,
    );
  }
  const labels = { 'app.kubernetes.io/managed-by': 'signalbox-install' };
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace, labels },
    stringData: { [key]: token },
  };
  await tools.run('kubectl', ['apply', '--server-side', '--force-conflicts', '-f', '-'], JSON.stringify(secret));
  say(`  HF_TOKEN is in Secret ${name}`);
}

async function isGated(uri: string): Promise<boolean> {
  if (!uri.startsWith('hf://')) return false;
  try {
    const answer = await fetch(`https://huggingface.co/api/models/${uri.slice('hf://'.length)}`, {
      signal: AbortSignal.timeout(5000),
    });
    const { gated } = (await answer.json()) as { gated?: unknown };
    return answer.status === 401 || (gated !== undefined && gated !== false);
  } catch {
    return false;
  }
}

function nextSteps(model: string): string {
  return `
Next:
  kubectl get pods
  kubectl logs -l llm-d.ai/epp -f
  kubectl port-forward svc/llm-d-inference-gateway 8080:80 &
  curl -i http://127.0.0.1:8080/v1/completions -H 'Content-Type: application/json' \\
    -d '{"model": "${model}", "prompt": "Hello", "max_tokens": 20}'`;
}
