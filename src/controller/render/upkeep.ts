import { kinds } from '../../kubernetes/kinds.ts';
import type { KubernetesObject } from '../../kubernetes/object.ts';
import { podLabels, type Role } from './deployments.ts';
import type { RenderContext } from './render.ts';

/** Nodes are drained one serving pod at a time. A single pod has no budget: nodes could never be drained then. */
export function disruptionBudgets(context: RenderContext): KubernetesObject[] {
  const { decode, prefill } = context.modelService.spec;
  return [
    ...(decode.replicas > 1 ? [disruptionBudget(context, 'decode')] : []),
    ...(prefill !== undefined && prefill.replicas > 1 ? [disruptionBudget(context, 'prefill')] : []),
  ];
}

function disruptionBudget(context: RenderContext, role: Role): KubernetesObject {
  return {
    apiVersion: kinds.podDisruptionBudget.apiVersion,
    kind: kinds.podDisruptionBudget.kind,
    metadata: { name: context.names[role] },
    spec: { maxUnavailable: 1, selector: { matchLabels: podLabels(context, role) } },
  };
}

/** For the Prometheus operator, where it is installed. */
export function serviceMonitors(context: RenderContext): KubernetesObject[] {
  const { features, names, modelService } = context;
  if (!features.serviceMonitor) return [];
  const { prefill, endpointPicker, metricsAuth } = modelService.spec;
  const token = metricsAuth ? { bearerTokenFile: '/var/run/secrets/kubernetes.io/serviceaccount/token' } : {};
  return [
    serviceMonitor(context, names.decode, 'decode', { port: 'vllm', interval: '15s' }),
    ...(prefill === undefined
      ? []
      : [serviceMonitor(context, names.prefill, 'prefill', { port: 'vllm', interval: '15s' })]),
    ...(endpointPicker.enabled
      ? [serviceMonitor(context, names.epp, 'epp', { port: 'metrics', interval: '10s', ...token })]
      : []),
  ];
}

function serviceMonitor(context: RenderContext, name: string, role: Role, endpoint: object): KubernetesObject {
  return {
    apiVersion: kinds.serviceMonitor.apiVersion,
    kind: kinds.serviceMonitor.kind,
    metadata: { name },
    spec: { selector: { matchLabels: podLabels(context, role) }, endpoints: [{ path: '/metrics', ...endpoint }] },
  };
}
