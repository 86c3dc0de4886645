import { z } from 'zod';
import type { Sender } from '../proxy/upstream.ts';
import type { Target } from './connector.ts';
import type { PrefillFailure } from './prefill-call.ts';

/** Names where a sidecar may have the prompt computed, best first: llm-d's name, and the one before it (a URL). */
export const prefillHeader = 'x-prefiller-host-port';
export const oldPrefillHeader = 'x-prefiller-url';
/** By which our sidecar says how that went. */
export const reportHeader = 'x-signalbox-prefill';

const reportSchema = z.object({
  attempts: z
    .array(
      z.object({
        status: z.number().nullable(),
        failure: z.enum(['connect', 'reset', 'timeout', 'server-error', 'busy', 'refused', 'local']).nullable(),
        reason: z.string(),
      }),
    )
    .max(8),
  cachedTokens: z.number().nullable(),
  /** How long before this was written the prompt was there. */
  agoMs: z.number(),
});

/** How the prefill leg went, as a sidecar tells it. */
export type PrefillReport = z.infer<typeof reportSchema>;

/** The prefill leg of a request whose legs are somebody else's to send. */
interface ToldLeg {
  readonly endpoint: Target | null;
  readonly alternatives: readonly Target[];
  answered(status: number, cachedTokens: number | null, agoMs: number | null): void;
  failed(status: number | null, failure: PrefillFailure, reason: string): Target | null;
}

/** What a sidecar is told; nothing for a request that is not split. */
export function prefillHeaders(leg: ToldLeg | null): Record<string, string> {
  const endpoint = leg?.endpoint ?? null;
  if (leg === null || endpoint === null) return {};
  return { [prefillHeader]: [endpoint, ...leg.alternatives].map(({ address }) => address).join(',') };
}

/** Takes note of what a sidecar said; one that says nothing (llm-d's) is taken to have done as it was told. */
export function noteReport(
  leg: ToldLeg | null,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): void {
  const text = headers[reportHeader];
  if (leg === null || typeof text !== 'string') return;
  const report = parseReport(text);
  for (const { status, failure, reason } of report?.attempts ?? []) {
    if (failure !== null) leg.failed(status, failure, reason);
    else leg.answered(status ?? 200, report!.cachedTokens, report!.agoMs);
  }
}

function parseReport(text: string): PrefillReport | null {
  try {
    return reportSchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

/** Sends to a sidecar, which sends both legs: it is told where, and what it says of them is noted. */
export function throughSidecar(upstream: Sender, legOf: () => ToldLeg | null): Sender {
  return {
    send(address, request, handler) {
      const leg = legOf();
      if (leg === null || leg.endpoint === null) return upstream.send(address, request, handler);
      const told = { ...request, headers: { ...request.headers, ...prefillHeaders(leg) } };
      return upstream.send(address, told, {
        ...handler,
        head(status, headers) {
          noteReport(leg, headers);
          handler.head(status, headers);
        },
      });
    },
  };
}
