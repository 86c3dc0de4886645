import { kinds } from '../../kubernetes/kinds.ts';
import type { KubernetesObject, OwnerReference } from '../../kubernetes/object.ts';
import type { ModelService } from '../model-service.ts';
import { namesOf, type Names } from '../names.ts';
import type { Preset } from '../presets.ts';
import { engineAccess, eppAccess } from './access.ts';
import { deployments } from './deployments.ts';
import { routing, services } from './network.ts';
import { disruptionBudgets, serviceMonitors } from './upkeep.ts';

/** What the cluster has beyond Kubernetes itself. */
export interface ClusterFeatures {
  readonly inferencePool: boolean;
  readonly httpRoute: boolean;
  /** Istio is there. */
  readonly destinationRule: boolean;
  readonly serviceMonitor: boolean;
}

export interface RenderOptions {
  readonly features: ClusterFeatures;
  /** The image of containers for which neither preset nor resource names one: the controller's own. */
  readonly image: string;
  readonly imagePullPolicy: string;
  readonly imagePullSecrets: readonly string[];
}

export interface RenderContext extends RenderOptions {
  readonly modelService: ModelService;
  readonly names: Names;
  readonly preset: Preset;
}

/** By this label we find again what we made. */
export const managedBy = { 'app.kubernetes.io/managed-by': 'llm-d-modelservice' } as const;

/** Every object that should be there for a ModelService. Pure. @throws SignalboxError what is wrong in preset or resource */
export function renderObjects(modelService: ModelService, preset: Preset, options: RenderOptions): KubernetesObject[] {
  const context: RenderContext = { ...options, modelService, names: namesOf(modelService), preset };
  const objects = [
    ...engineAccess(context),
    ...eppAccess(context),
    ...deployments(context),
    ...services(context),
    ...disruptionBudgets(context),
    ...routing(context),
    ...serviceMonitors(context),
  ];
  return objects.map((object) => owned(object, modelService));
}

function owned(object: KubernetesObject, { object: owner, namespace }: ModelService): KubernetesObject {
  const reference: OwnerReference = {
    apiVersion: kinds.modelService.apiVersion,
    kind: kinds.modelService.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  };
  const { metadata } = object;
  return {
    ...object,
    metadata: { ...metadata, namespace, labels: { ...metadata.labels, ...managedBy }, ownerReferences: [reference] },
  };
}
