import { configFromEnvironment } from '../compat/llm-d-environment.ts';
import { defaultPolicyName } from '../scheduler/default-policy.ts';
import { eppEnvironment } from './epp-environment.ts';
import { modelObjectName, templateHash } from './object-names.ts';
import type { Values } from './values.ts';

export type Component = 'gateway' | 'modelservice' | 'epp' | 'decode' | 'prefill';

/** A program of this package that a container runs, without what differs from pod to pod (ports, names). */
export interface ContainerTemplate {
  readonly name: string;
  readonly program: 'gateway' | 'envoy' | 'modelservice' | 'epp' | 'sidecar' | 'engine';
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** What a Deployment declares: so many pods alike. */
export interface Workload {
  readonly component: Component;
  /** The pods are called `<name>-<hash>-<suffix>`. */
  readonly name: string;
  readonly hash: string;
  readonly replicas: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly containers: readonly ContainerTemplate[];
  /** Its pods have no process of their own: the supervisor is the modelservice, and our gateway has the EPP in it. */
  readonly isHosted: boolean;
}

/** What stands in front: our gateway with the EPP in its process, or an Envoy beside an EPP with a process of its own. */
export type GatewayKind = 'signalbox' | 'envoy';

export interface EngineOptions {
  /** Every engine runs this many times faster than its hardware profile says. */
  readonly timeScale?: number;
  readonly profile?: string;
}

/** Everything that should run for these values. Pure: where it runs and on which ports is decided elsewhere. */
export function workloads(values: Values, options: EngineOptions = {}, kind: GatewayKind = 'signalbox'): Workload[] {
  const { model, decode, prefill } = values.sampleApplication;
  const stem = modelObjectName(model.modelName);
  const engine = (extraArgs: readonly string[]): ContainerTemplate => ({
    name: 'vllm',
    program: 'engine',
    args: [...engineArgs(values, options), ...extraArgs],
    env: { VLLM_LOGGING_LEVEL: values.modelservice.vllm.logLevel },
  });
  const serving = (role: 'decode' | 'prefill') => ({
    'llm-d.ai/inferenceServing': 'true',
    'llm-d.ai/model': stem,
    'llm-d.ai/role': role,
  });
  // The EPP's switches are our gateway's too: there it lives in the gateway's process.
  const env = eppEnvironment(values);
  // Scorers that the file names are obeyed; what the default policy would have done instead is worth knowing.
  const args = configFromEnvironment(env) === null ? [] : ['--shadow', defaultPolicyName];
  return [
    workload('gateway', 'llm-d-inference-gateway', 1, { app: 'llm-d-inference-gateway' }, [
      kind === 'envoy'
        ? { name: 'envoy', program: 'envoy', args: [], env: {} }
        : { name: 'gateway', program: 'gateway', args, env },
    ]),
    {
      ...workload('modelservice', 'llm-d-modelservice', 1, { app: 'llm-d-modelservice' }, [
        { name: 'modelservice', program: 'modelservice', args: [], env: {} },
      ]),
      isHosted: true,
    },
    {
      ...workload('epp', `${stem}-epp`, 1, { 'llm-d.ai/epp': `${stem}-epp` }, [
        { name: 'epp', program: 'epp', args, env },
      ]),
      isHosted: kind === 'signalbox',
    },
    workload('decode', `${stem}-decode`, decode.replicas, serving('decode'), [
      { name: 'routing-proxy', program: 'sidecar', args: handsOver(values) ? ['--connector', 'nixlv2'] : [], env: {} },
      engine(decode.extraArgs),
    ]),
    workload('prefill', `${stem}-prefill`, prefill.replicas, serving('prefill'), [engine(prefill.extraArgs)]),
  ];
}

/** Whether engines hand caches to each other, so that prefill and decode can be apart. */
function handsOver({ sampleApplication }: Values): boolean {
  return sampleApplication.baseConfigMapRefName.includes('nixl');
}

function engineArgs(values: Values, { timeScale, profile }: EngineOptions): string[] {
  const { modelName, servedModelNames } = values.sampleApplication.model;
  return [
    '--model',
    modelName,
    ...(servedModelNames.length > 0 ? ['--served-model-name', ...servedModelNames] : []),
    ...(profile === undefined ? [] : ['--profile', profile]),
    ...(timeScale === undefined ? [] : ['--time-scale', String(timeScale)]),
    ...(handsOver(values) ? ['--kv-transfer-config', '{"kv_connector":"NixlConnector","kv_role":"kv_both"}'] : []),
  ];
}

function workload(
  component: Component,
  name: string,
  replicas: number,
  labels: Readonly<Record<string, string>>,
  containers: readonly ContainerTemplate[],
): Workload {
  const hash = templateHash({ labels, containers });
  return { component, name, hash, replicas, labels, containers, isHosted: false };
}
