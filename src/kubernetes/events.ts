import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { KubernetesClient } from './client.ts';
import { kinds } from './kinds.ts';
import type { KubernetesObject } from './object.ts';

const kept = 1000;
/** The same again within this time is counted, not written. */
const repeatMs = 300_000;

/** Writes Events, which `kubectl describe` shows. The same one is not written again and again; a failure is only logged. */
export class EventRecorder {
  readonly #client: KubernetesClient;
  readonly #component: string;
  readonly #log: Logger;
  readonly #recent = new Map<string, number>();

  constructor(client: KubernetesClient, component: string, log: Logger) {
    this.#client = client;
    this.#component = component;
    this.#log = log;
  }

  record(about: KubernetesObject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const { name, namespace = 'default', uid = '', resourceVersion = '' } = about.metadata;
    const key = [uid, type, reason, message].join('\u0000');
    const nowMs = performance.now();
    if (nowMs - (this.#recent.get(key) ?? -Infinity) < repeatMs) return;
    if (this.#recent.size >= kept) this.#recent.delete(this.#recent.keys().next().value!);
    this.#recent.set(key, nowMs);
    const now = new Date().toISOString();
    const event: KubernetesObject = {
      apiVersion: kinds.event.apiVersion,
      kind: kinds.event.kind,
      metadata: {
        name: `${name.slice(0, 200)}.${Date.now().toString(16)}${process.hrtime.bigint().toString(16).slice(-6)}`,
        namespace,
      },
      involvedObject: { apiVersion: about.apiVersion, kind: about.kind, name, namespace, uid, resourceVersion },
      type,
      reason,
      message: message.slice(0, 1000),
      source: { component: this.#component },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    };
    this.#client
      .create(kinds.event, event)
      .catch((error: unknown) => this.#log.warn(`an event could not be written: ${messageOf(error)}`));
  }
}
