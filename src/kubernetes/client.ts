import type { Readable } from 'node:stream';
import { Agent, request } from 'undici';
import { messageOf } from '../base/errors.ts';
import type { ClusterAccess } from './access.ts';
import { pathOf, type Kind } from './kinds.ts';
import type { KubernetesObject } from './object.ts';

/** The API server's answer when it refuses, in its own words; `status` 0 when it gave none. */
export class KubernetesError extends Error {
  readonly status: number;
  /** E.g. `Conflict`, `NotFound`, `Expired`. */
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.name = 'KubernetesError';
    this.status = status;
    this.reason = reason;
  }
}

export function isNotFound(error: unknown): boolean {
  return error instanceof KubernetesError && error.status === 404;
}

interface List {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: KubernetesObject[];
}

const answerMs = 30_000;
const pageSize = 500;
const largestAnswerBytes = 64 * 1024 * 1024;

/** The few verbs of the Kubernetes API that we use (https://kubernetes.io/docs/reference/using-api/api-concepts/). */
export class KubernetesClient {
  readonly namespace: string;
  readonly #access: ClusterAccess;
  readonly #agent: Agent;

  constructor(access: ClusterAccess) {
    this.#access = access;
    this.namespace = access.namespace;
    this.#agent = new Agent({
      connect: {
        ...(access.ca === undefined ? {} : { ca: access.ca }),
        ...access.certificate,
        rejectUnauthorized: !access.insecure,
        timeout: 5000,
      },
      headersTimeout: answerMs,
    });
  }

  get(kind: Kind, namespace: string, name: string): Promise<KubernetesObject> {
    return this.#json('GET', pathOf(kind, namespace, name));
  }

  /** All of a kind, page by page, and the version of the collection to watch from. */
  async list(path: string, query: Record<string, string>): Promise<{ items: KubernetesObject[]; version: string }> {
    const items: KubernetesObject[] = [];
    let next: string | undefined;
    for (;;) {
      const page = { ...query, limit: String(pageSize), ...(next === undefined ? {} : { continue: next }) };
      const { metadata, items: more }: List = await this.#json('GET', `${path}?${new URLSearchParams(page)}`);
      items.push(...more);
      next = metadata.continue === '' ? undefined : metadata.continue;
      if (next === undefined) return { items, version: metadata.resourceVersion };
    }
  }

  /** An answer that goes on: one JSON document a line. Ends by `signal`, or when nothing comes for `silenceMs`. */
  async stream(path: string, query: Record<string, string>, signal: AbortSignal, silenceMs: number): Promise<Readable> {
    const { statusCode, body } = await this.#send('GET', `${path}?${new URLSearchParams(query)}`, {
      signal,
      bodyTimeout: silenceMs,
    });
    if (statusCode >= 300) throw errorOf(statusCode, await body.text());
    return body;
  }

  /** Server-side apply: what `object` says is made so, whoever said otherwise before. */
  apply(kind: Kind, object: KubernetesObject, manager: string): Promise<KubernetesObject> {
    const { namespace, name } = object.metadata;
    const query = new URLSearchParams({ fieldManager: manager, force: 'true' });
    const path = `${pathOf(kind, namespace ?? this.namespace, name)}?${query}`;
    return this.#json('PATCH', path, object, 'application/apply-patch+yaml');
  }

  create(kind: Kind, object: KubernetesObject): Promise<KubernetesObject> {
    return this.#json('POST', pathOf(kind, object.metadata.namespace ?? this.namespace), object);
  }

  /** Only if nobody changed it since (`metadata.resourceVersion`); else a `Conflict`. */
  replace(kind: Kind, object: KubernetesObject): Promise<KubernetesObject> {
    const { namespace, name } = object.metadata;
    return this.#json('PUT', pathOf(kind, namespace ?? this.namespace, name), object);
  }

  mergePatch(kind: Kind, namespace: string, name: string, patch: unknown, part = ''): Promise<KubernetesObject> {
    return this.#json('PATCH', `${pathOf(kind, namespace, name)}${part}`, patch, 'application/merge-patch+json');
  }

  /** Gone already counts as done. */
  async remove(kind: Kind, namespace: string, name: string): Promise<void> {
    try {
      await this.#json('DELETE', pathOf(kind, namespace, name), { propagationPolicy: 'Background' });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  /** Asks for an object that is only an answer, e.g. a TokenReview. */
  ask<Answer>(path: string, object: unknown): Promise<Answer> {
    return this.#json('POST', path, object);
  }

  /** Whether the cluster serves this kind: those of others are there only where somebody installed them. */
  async serves({ apiVersion, plural }: Kind): Promise<boolean> {
    try {
      const path = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
      const { resources } = await this.#json<{ resources: { name: string }[] }>('GET', path);
      return resources.some(({ name }) => name === plural);
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #json<Answer>(method: string, path: string, sent?: unknown, type = 'application/json'): Promise<Answer> {
    const { statusCode, body } = await this.#send(method, path, {
      signal: AbortSignal.timeout(answerMs),
      ...(sent === undefined ? {} : { body: JSON.stringify(sent), type }),
    });
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > largestAnswerBytes) throw new KubernetesError(0, 'TooLarge', `${path}: the answer is too large`);
      chunks.push(chunk);
    }
    const text = Buffer.concat(chunks).toString();
    if (statusCode >= 300) throw errorOf(statusCode, text);
    return JSON.parse(text) as Answer;
  }

  async #send(
    method: string,
    path: string,
    options: { signal: AbortSignal; body?: string; type?: string; bodyTimeout?: number },
  ): ReturnType<typeof request> {
    const token = await this.#access.token();
    const { body, type, signal, bodyTimeout } = options;
    try {
      return await request(`${this.#access.server}${path}`, {
        dispatcher: this.#agent,
        method: method as 'GET',
        headers: {
          accept: 'application/json',
          'user-agent': 'signalbox',
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
          ...(type === undefined ? {} : { 'content-type': type }),
        },
        signal,
        ...(body === undefined ? {} : { body }),
        bodyTimeout: bodyTimeout ?? answerMs,
      });
    } catch (error) {
      if (signal.aborted && signal.reason instanceof Error && signal.reason.name === 'AbortError') throw error;
      throw new KubernetesError(0, 'Unreachable', `${this.#access.server} gave no answer: ${messageOf(error)}`);
    }
  }
}

function errorOf(status: number, text: string): KubernetesError {
  try {
    const { reason, message } = JSON.parse(text) as { reason?: string; message?: string };
    return new KubernetesError(status, reason ?? 'Unknown', message ?? `status ${status}`);
  } catch {
    return new KubernetesError(status, 'Unknown', `status ${status}: ${text.slice(0, 200)}`);
  }
}
