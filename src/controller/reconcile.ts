import { isDeepStrictEqual } from 'node:util';
import { messageOf, SignalboxError } from '../base/errors.ts';
import { isNotFound, KubernetesError, type KubernetesClient } from '../kubernetes/client.ts';
import type { EventRecorder } from '../kubernetes/events.ts';
import { kinds, type Kind } from '../kubernetes/kinds.ts';
import type { KubernetesObject } from '../kubernetes/object.ts';
import { keep, type Inventory } from './inventory.ts';
import { readModelService, type ModelService } from './model-service.ts';
import { builtInPreset, looksLikePreset, presetFromConfigMap, type Preset } from './presets.ts';
import { renderObjects, type RenderOptions } from './render/render.ts';
import { statusOf, type Trouble } from './status.ts';

const fieldManager = 'llm-d-modelservice';
const defaultPreset = 'basic-gpu-preset';

const kindByName = new Map<string, Kind>(Object.values(kinds).map((kind) => [kind.kind, kind]));

interface ReconcileOptions {
  readonly client: KubernetesClient;
  readonly inventory: Inventory;
  readonly events: EventRecorder;
  readonly render: RenderOptions;
}

/** Makes the cluster as one ModelService says, and says in its status how that went. */
export class Reconciler {
  readonly #options: ReconcileOptions;
  /** By object: what we last applied, and the revision that it got. */
  readonly #applied = new Map<string, { readonly text: string; readonly revision: string }>();

  constructor(options: ReconcileOptions) {
    this.#options = options;
  }

  /** Forgets what was applied for a ModelService that is no more; its objects go with it, by their owner reference. */
  forget(ownerUid: string): void {
    for (const { kind, name } of this.#options.inventory.ownedBy(ownerUid)) this.#applied.delete(keyOf(kind, name));
  }

  /** @throws when something should be tried again: what went wrong stands in the status. */
  async reconcile(object: KubernetesObject): Promise<void> {
    const { events, render, inventory } = this.#options;
    let modelService: ModelService;
    try {
      modelService = readModelService(object);
    } catch (error) {
      // The schema of the resource keeps most of this out.
      events.record(object, 'Warning', 'Invalid', messageOf(error));
      await this.#writeStatus(object, {
        ...(object['status'] as object),
        conditions: invalid(object, messageOf(error)),
      });
      return;
    }
    let objects: KubernetesObject[] = [];
    let trouble: Trouble | null = null;
    let again = false;
    try {
      objects = renderObjects(modelService, await this.#preset(modelService), render);
    } catch (error) {
      if (!(error instanceof SignalboxError)) throw error;
      trouble = { reason: 'InvalidConfiguration', message: error.message };
    }
    if (trouble === null) {
      const problems: string[] = [];
      for (const wanted of objects) {
        try {
          await this.#apply(wanted);
        } catch (error) {
          problems.push(`${wanted.kind} ${wanted.metadata.name}: ${messageOf(error)}`);
          again ||= !isFinal(error);
        }
      }
      if (problems.length === 0) await this.#removeOthers(modelService, objects);
      else trouble = { reason: 'ApplyFailed', message: problems.join('; ') };
    }
    if (trouble !== null) events.record(object, 'Warning', trouble.reason, trouble.message);
    const status = statusOf(modelService, inventory, render.features, objects, trouble, new Date().toISOString());
    await this.#writeStatus(object, status);
    if (again) throw new Error(trouble?.message ?? 'not applied');
  }

  async #preset({ namespace, spec }: ModelService): Promise<Preset> {
    const { name = defaultPreset, namespace: from = namespace } = spec.baseConfigMapRef ?? {};
    if (from !== namespace) {
      throw new SignalboxError(
        'config_invalid',
        `spec.baseConfigMapRef.namespace: presets are read from namespace ${namespace} alone, not from ${from}`,
      );
    }
    try {
      const found = await this.#options.client.get(kinds.configMap, from, name);
      const data = (found['data'] ?? {}) as Record<string, string>;
      if (looksLikePreset(data)) return presetFromConfigMap(name, data);
      throw new SignalboxError(
        'config_invalid',
        `ConfigMap ${name} is no preset: it has none of decodeDeployment, prefillDeployment, eppDeployment`,
      );
    } catch (error) {
      if (isNotFound(error)) return builtInPreset(name);
      throw error;
    }
  }

  /** Applies one object, unless the cluster is known to have it so. @throws when it belongs to somebody else */
  async #apply(wanted: KubernetesObject): Promise<void> {
    const { client, inventory } = this.#options;
    const kind = kindByName.get(wanted.kind)!;
    const { name, namespace = '' } = wanted.metadata;
    const key = keyOf(kind, name);
    const text = JSON.stringify(wanted);
    const present = inventory.find(kind, name);
    const before = this.#applied.get(key);
    if (present !== undefined && before?.text === text && before.revision === present.revision) return;
    const owner = wanted.metadata.ownerReferences?.[0]?.uid;
    if (present === undefined || present.owner !== owner) {
      const found = await client.get(kind, namespace, name).catch((error: unknown) => {
        if (isNotFound(error)) return null;
        throw error;
      });
      if (found !== null && keep(kind, found)?.owner !== owner) {
        throw new SignalboxError('config_invalid', 'there is one already that was not made for this ModelService');
      }
    }
    const made = await client.apply(kind, wanted, fieldManager);
    this.#applied.set(key, { text, revision: keep(kind, made)?.revision ?? '' });
  }

  async #removeOthers({ object, namespace }: ModelService, wanted: readonly KubernetesObject[]): Promise<void> {
    const { client, inventory } = this.#options;
    const keys = new Set(wanted.map(({ kind, metadata }) => keyOf(kindByName.get(kind)!, metadata.name)));
    for (const { kind, name } of inventory.ownedBy(object.metadata.uid ?? '')) {
      if (keys.has(keyOf(kind, name))) continue;
      await client.remove(kind, namespace, name);
      this.#applied.delete(keyOf(kind, name));
    }
  }

  async #writeStatus(object: KubernetesObject, status: Record<string, unknown>): Promise<void> {
    const before = (object['status'] ?? {}) as Record<string, unknown>;
    const present = Object.fromEntries(Object.entries(status).filter(([, value]) => value !== null));
    if (isDeepStrictEqual(before, present)) return;
    const { name, namespace = '' } = object.metadata;
    try {
      await this.#options.client.mergePatch(kinds.modelService, namespace, name, { status }, '/status');
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

/** Whether trying again without any change would be refused again. */
function isFinal(error: unknown): boolean {
  if (error instanceof SignalboxError) return false;
  return error instanceof KubernetesError && error.status === 422;
}

function invalid(object: KubernetesObject, message: string): unknown[] {
  const at = { lastTransitionTime: new Date().toISOString(), observedGeneration: object.metadata.generation ?? 0 };
  return ['Ready', 'Applied'].map((type) => ({ type, status: 'False', reason: 'Invalid', message, ...at }));
}

function keyOf(kind: Kind, name: string): string {
  return `${kind.kind}/${name}`;
}
