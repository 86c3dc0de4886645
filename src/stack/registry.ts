import { runningState } from './state.ts';

/** Where the gateway of a namespace's running stack takes requests, as a URL; null when no stack runs there. */
export function gatewayUrl(namespace = 'default'): string | null {
  return runningState(namespace)?.gatewayUrl ?? null;
}

/** The admin API of a namespace's running stack, as a URL; null when no stack runs there. */
export function adminUrl(namespace = 'default'): string | null {
  return runningState(namespace)?.adminUrl ?? null;
}
