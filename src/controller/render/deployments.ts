import { kinds } from '../../kubernetes/kinds.ts';
import type { KubernetesObject } from '../../kubernetes/object.ts';
import { layOver, type PlainObject } from '../lay-over.ts';
import type { RoleSpec } from '../model-service.ts';
import { fill } from '../presets.ts';
import { placeholdersOf } from './placeholders.ts';
import { podDefaults, withAccelerators, withContainerDefaults, withModel } from './pod.ts';
import type { RenderContext } from './render.ts';

export type Role = 'decode' | 'prefill' | 'epp';

/** What a role may say in a ModelService; the endpoint picker says less. */
export type GivenRole = Pick<RoleSpec, 'replicas' | 'containers' | 'initContainers' | 'podSpec'> & Partial<RoleSpec>;

export function deployments(context: RenderContext): KubernetesObject[] {
  const { decode, prefill, endpointPicker } = context.modelService.spec;
  return [
    deployment(context, 'decode', decode),
    ...(prefill === undefined ? [] : [deployment(context, 'prefill', prefill)]),
    ...(endpointPicker.enabled ? [deployment(context, 'epp', endpointPicker)] : []),
  ];
}

/** The labels by which a role's pods are found. */
export function podLabels({ names }: RenderContext, role: Role): Record<string, string> {
  if (role === 'epp') return { 'llm-d.ai/epp': names.epp };
  return { 'llm-d.ai/inferenceServing': 'true', 'llm-d.ai/model': names.model, 'llm-d.ai/role': role };
}

/** The preset's Deployment, what the resource says laid over it, and what holds it together laid over both. */
function deployment(context: RenderContext, role: Role, given: GivenRole): KubernetesObject {
  const { modelService, names, preset } = context;
  const labels = podLabels(context, role);
  const filled = fill(preset[`${role}Deployment`], placeholdersOf(context)) as PlainObject;
  const { initContainers, podSpec } = given;
  const authenticated = role === 'epp' && modelService.spec.metricsAuth;
  const asks = authenticated ? [{ name: 'epp', args: ['--metrics-endpoint-auth'] }] : [];
  const containers = layOver({ containers: asks }, { containers: given.containers }) as PlainObject;
  const fixed = {
    apiVersion: kinds.deployment.apiVersion,
    kind: kinds.deployment.kind,
    metadata: { name: names[role], labels },
    spec: {
      replicas: given.replicas,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels: { ...labels, 'llmd.ai/gather-metrics': 'true' } },
        spec: { ...podSpec, ...containers, initContainers },
      },
    },
  };
  const laid = layOver(layOver(deploymentDefaults(context, role), filled), fixed) as Laid;
  const pod = withModel(withAccelerators(withContainerDefaults(laid.spec.template.spec, context), given), context);
  const { replicas, ...spec } = laid.spec;
  return {
    ...laid,
    spec: {
      ...(modelService.spec.decoupleScaling && role !== 'epp' ? {} : { replicas }),
      ...spec,
      template: { ...spec.template, spec: pod },
    },
  };
}

type Laid = KubernetesObject & {
  readonly spec: PlainObject & { readonly replicas: number; readonly template: { readonly spec: PlainObject } };
};

function deploymentDefaults(context: RenderContext, role: Role): PlainObject {
  return {
    spec: {
      // A new pod is ready before an old one goes.
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: { spec: podDefaults(context, role) },
    },
  };
}
