/** One place that serves requests: a pod, a data-parallel rank of it, or a bare `host:port`. */
export interface Endpoint {
  /** Identity everywhere: the pod's name, with `-rank-N` for a data-parallel rank, or `host:port`. */
  readonly name: string;
  /** Where it listens, `host:port` (IPv6 in brackets). */
  readonly address: string;
  /** The data-parallel rank behind this address that requests ask for; absent where the address has only one. */
  readonly rank?: number;
  /** As Kubernetes has them; roles are read from `llm-d.ai/role`. */
  readonly labels: Readonly<Record<string, string>>;
}

/** What it does where prefill and decode are apart (`llm-d.ai/role`); null when it carries no such label. */
export function roleOf(endpoint: Endpoint): string | null {
  return endpoint.labels[roleLabel] ?? null;
}

export const roleLabel = 'llm-d.ai/role';
