import type { KubernetesClient } from './client.ts';

const freshMs = 10_000;
const kept = 256;

interface TokenReview {
  readonly status?: {
    readonly authenticated?: boolean;
    readonly user?: { username?: string; uid?: string; groups?: string[] };
  };
}

interface SubjectAccessReview {
  readonly status?: { readonly allowed?: boolean };
}

/**
 * Whether a bearer token belongs to somebody who may `get /metrics`, as the cluster sees it: what Prometheus in a cluster
 * is given. Answers are kept for ten seconds.
 */
export class TokenCheck {
  readonly #client: KubernetesClient;
  readonly #known = new Map<string, { readonly atMs: number; readonly allowed: Promise<boolean> }>();

  constructor(client: KubernetesClient) {
    this.#client = client;
  }

  /** @throws when the API server does not answer */
  allowed(authorization: string | undefined): Promise<boolean> {
    const token = /^Bearer (\S+)$/.exec(authorization ?? '')?.[1];
    if (token === undefined) return Promise.resolve(false);
    const nowMs = performance.now();
    const known = this.#known.get(token);
    if (known !== undefined && nowMs - known.atMs < freshMs) return known.allowed;
    const allowed = this.#ask(token);
    this.#known.delete(token);
    if (this.#known.size >= kept) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(token, { atMs: nowMs, allowed });
    allowed.catch(() => this.#known.delete(token));
    return allowed;
  }

  async #ask(token: string): Promise<boolean> {
    const review = await this.#client.ask<TokenReview>('/apis/authentication.k8s.io/v1/tokenreviews', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token },
    });
    const user = review.status?.user;
    if (review.status?.authenticated !== true || user === undefined) return false;
    const access = await this.#client.ask<SubjectAccessReview>('/apis/authorization.k8s.io/v1/subjectaccessreviews', {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: {
        user: user.username,
        uid: user.uid,
        groups: user.groups,
        nonResourceAttributes: { path: '/metrics', verb: 'get' },
      },
    });
    return access.status?.allowed === true;
  }
}
