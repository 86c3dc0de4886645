import { kinds } from '../../kubernetes/kinds.ts';
import type { KubernetesObject } from '../../kubernetes/object.ts';
import { podLabels } from './deployments.ts';
import type { RenderContext } from './render.ts';

export function services(context: RenderContext): KubernetesObject[] {
  const { names, modelService } = context;
  const serving = [{ name: 'vllm', port: 8000, targetPort: 8000, protocol: 'TCP' }];
  const ports = [
    { name: 'grpc-ext-proc', port: 9002, targetPort: 9002, protocol: 'TCP', appProtocol: 'kubernetes.io/h2c' },
    { name: 'grpc-health', port: 9003, targetPort: 9003, protocol: 'TCP' },
    { name: 'metrics', port: 9090, targetPort: 9090, protocol: 'TCP' },
  ];
  const { prefill, endpointPicker } = modelService.spec;
  return [
    service(names.decodeService, podLabels(context, 'decode'), { clusterIP: 'None', ports: serving }),
    ...(prefill === undefined
      ? []
      : [service(names.prefillService, podLabels(context, 'prefill'), { clusterIP: 'None', ports: serving })]),
    ...(endpointPicker.enabled
      ? [service(names.eppService, podLabels(context, 'epp'), { type: 'ClusterIP', ports })]
      : []),
  ];
}

function service(name: string, selector: Record<string, string>, spec: object): KubernetesObject {
  return {
    apiVersion: kinds.service.apiVersion,
    kind: kinds.service.kind,
    metadata: { name, labels: selector },
    spec: { ...spec, selector },
  };
}

/** What gateways of the Gateway API need, as far as the cluster has it. */
export function routing(context: RenderContext): KubernetesObject[] {
  const { names, modelService, features } = context;
  const { endpointPicker, routing: wanted } = modelService.spec;
  if (!features.inferencePool || !endpointPicker.enabled) return [];
  const labels = { 'llm-d.ai/model': names.model };
  const pool: KubernetesObject = {
    apiVersion: kinds.inferencePool.apiVersion,
    kind: kinds.inferencePool.kind,
    metadata: { name: names.inferencePool, labels },
    spec: {
      selector: { matchLabels: { 'llm-d.ai/inferenceServing': 'true', 'llm-d.ai/model': names.model } },
      targetPorts: [{ number: 8000 }],
      endpointPickerRef: { name: names.eppService, port: { number: 9002 }, failureMode: 'FailClose' },
    },
  };
  if (!features.httpRoute || wanted.gatewayRefs.length === 0) return [pool];
  const rules = features.destinationRule ? [pickerTls(context)] : [];
  const backend = { group: 'inference.networking.k8s.io', kind: 'InferencePool', name: names.inferencePool };
  const route: KubernetesObject = {
    apiVersion: kinds.httpRoute.apiVersion,
    kind: kinds.httpRoute.kind,
    metadata: { name: names.httpRoute, labels },
    spec: {
      parentRefs: wanted.gatewayRefs.map((gateway) => ({ ...gateway })),
      rules: [
        {
          matches: [{ path: { type: 'PathPrefix', value: '/' } }],
          backendRefs: [backend],
          // Streams last as long as they last.
          timeouts: { request: '0s' },
        },
      ],
    },
  };
  return [pool, route, ...rules];
}

/** Istio speaks to the endpoint picker in the clear unless told otherwise, and the picker's certificate is its own. */
function pickerTls({ names, modelService }: RenderContext): KubernetesObject {
  return {
    apiVersion: kinds.destinationRule.apiVersion,
    kind: kinds.destinationRule.kind,
    metadata: { name: names.eppService },
    spec: {
      host: `${names.eppService}.${modelService.namespace}.svc.cluster.local`,
      trafficPolicy: { tls: { mode: 'SIMPLE', insecureSkipVerify: true } },
    },
  };
}
