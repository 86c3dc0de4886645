import { InvalidArgumentError, Option, type Command } from 'commander';
import { SignalboxError } from '../base/errors.ts';
import type { KubernetesSource } from '../fleet/discovery/kubernetes.ts';
import { goBoolean } from '../compat/llm-d-flags.ts';
import { portList } from './arguments.ts';

export interface KubernetesFlags {
  endpoint?: string[];
  endpointsFile?: string;
  endpointDns?: string[];
  endpointSelector?: string;
  endpointTargetPorts: number[];
  poolName?: string;
  poolNamespace?: string;
  metricsEndpointAuth: boolean;
}

/** Flags by which a front door finds its endpoints in a Kubernetes cluster, under llm-d's names. */
export function addKubernetesFlags(command: Command): Command {
  return command
    .option('--endpoint-selector <labels>', 'engines are the pods with these labels, e.g. llm-d.ai/role=decode')
    .option('--endpoint-target-ports <ports>', 'ports of these pods; each is an endpoint', portList, [8000])
    .option('--pool-name <name>', 'engines are the pods of this InferencePool; its name in metrics')
    .option('--pool-namespace <namespace>', "namespace of pods and pool; this pod's or the kubeconfig's by default")
    .addOption(
      new Option(
        '--metrics-endpoint-auth [bool]',
        'the admin port asks for a token of the cluster that may get /metrics',
      )
        .default(false)
        .preset(true)
        .argParser(switched),
    );
}

/** As Go's flags have it. */
export function switched(text: string): boolean {
  const value = goBoolean(text);
  if (value === null) throw new InvalidArgumentError('expected true or false.');
  return value;
}

/** What the flags say of a cluster; null when endpoints come from elsewhere. @throws SignalboxError when from nowhere */
export function kubernetesSource(flags: KubernetesFlags): KubernetesSource | null {
  const { endpointSelector, endpointTargetPorts, poolName, poolNamespace } = flags;
  const namespace = poolNamespace === undefined ? {} : { namespace: poolNamespace };
  if (endpointSelector !== undefined) {
    return { ...namespace, labelSelector: endpointSelector, targetPorts: endpointTargetPorts };
  }
  if ([flags.endpoint, flags.endpointsFile, flags.endpointDns].some((named) => named !== undefined)) return null;
  if (poolName !== undefined) return { ...namespace, pool: poolName };
  throw new SignalboxError(
    'usage',
    'name the engines: --endpoint URL…, --endpoints-file FILE or --endpoint-dns NAME, or in Kubernetes --endpoint-selector LABELS or --pool-name NAME',
  );
}
