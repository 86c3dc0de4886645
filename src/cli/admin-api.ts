import { z } from 'zod';
import { SignalboxError, messageOf } from '../base/errors.ts';
import type { EndpointJson } from '../admin/json.ts';
import type { DecisionJson } from '../journal/decision-schema.ts';
import { adminUrl } from '../stack/registry.ts';

const decision = z.looseObject({ version: z.literal(1), id: z.string() }).transform((value) => {
  return value as unknown as DecisionJson;
});
const decisions = z.array(decision);

const count = z.number().nullable();
const endpoint: z.ZodType<EndpointJson> = z.object({
  name: z.string(),
  address: z.string(),
  labels: z.record(z.string(), z.string()),
  ready: z.boolean(),
  state: z.enum(['ready', 'starting', 'failing', 'withdrawn']),
  models: z.array(z.string()),
  inFlight: z.number(),
  queuedPrefillTokens: z.number(),
  queuedPrefillSeconds: z.number(),
  contextTokens: z.number(),
  waiting: count,
  running: count,
  kvUsage: count,
  gaugeAgeMs: count,
  cachedTokens: z.number(),
  speed: count,
  secondsPerOutputToken: count,
  totals: z.object({
    requests: z.number(),
    failed: z.number(),
    promptTokens: z.number(),
    measuredTokens: z.number(),
    cachedTokens: z.number(),
    completionTokens: z.number(),
  }),
});

const means = z.object({ compared: z.number(), live: count, shadow: count });
const shadow = z.object({
  policies: z.array(
    z.object({
      name: z.string(),
      compared: z.number(),
      agreed: z.number(),
      ttftSeconds: means,
      cachedTokens: means,
    }),
  ),
});
/** Of `/api/shadow`, what is said in a line. */
export type ShadowSummary = z.output<typeof shadow>;

/** What commands ask of a running gateway. Every failure is a `SignalboxError` that names the URL. */
export class AdminApi {
  readonly url: string;

  constructor(url: string) {
    if (!URL.canParse(url))
      throw new SignalboxError('usage', `"${url}" is no URL; give one like http://127.0.0.1:8081`);
    this.url = url;
  }

  /** Of the stack in `namespace`; for the default one also where a gateway that was started alone listens. */
  static of(namespace: string, url?: string): AdminApi {
    const known = url ?? adminUrl(namespace) ?? (namespace === 'default' ? 'http://127.0.0.1:8081' : null);
    if (known === null) throw new SignalboxError('environment', `no stack runs in namespace "${namespace}"`);
    return new AdminApi(known);
  }

  endpoints(): Promise<EndpointJson[]> {
    return this.#ask('/api/endpoints', z.array(endpoint));
  }

  /** The latest, newest first; or those after the one called `after`, oldest first. */
  decisions(limit: number, after?: string): Promise<DecisionJson[]> {
    return this.#ask(
      `/api/decisions?limit=${limit}${after === undefined ? '' : `&after=${encodeURIComponent(after)}`}`,
      decisions,
    );
  }

  /** By decision or request id, with what would have changed it. */
  decision(id: string): Promise<DecisionJson> {
    return this.#ask(`/api/decisions/${encodeURIComponent(id)}?flips=1`, decision);
  }

  /** Where a request with this body would go, and what would change that; nothing is sent on. */
  explain(body: string): Promise<DecisionJson> {
    return this.#ask('/api/explain?flips=1', decision, body);
  }

  shadow(): Promise<ShadowSummary> {
    return this.#ask('/api/shadow', shadow);
  }

  async #ask<Value>(path: string, schema: z.ZodType<Value>, body?: string): Promise<Value> {
    const url = new URL(path, this.url);
    let response: Response;
    let text: string;
    try {
      const signal = AbortSignal.timeout(10_000);
      const headers = { 'content-type': 'application/json' };
      response = await fetch(url, body === undefined ? { signal } : { method: 'POST', body, headers, signal });
      text = await response.text();
    } catch (error) {
      const cause = error instanceof Error ? messageOf(error.cause ?? error) : messageOf(error);
      throw new SignalboxError('environment', `no answer from the admin API at ${url.origin}: ${cause}`, {
        cause: error,
      });
    }
    const answer = parsed(text);
    if (!response.ok) {
      const { data } = errorBody.safeParse(answer);
      const message = data?.error.message ?? `the admin API at ${url.origin} answered ${response.status}`;
      throw new SignalboxError('request_invalid', message);
    }
    const { data, success } = schema.safeParse(answer);
    if (success) return data;
    throw new SignalboxError('environment', `what answers at ${url.origin} is not the admin API of this version`);
  }
}

const errorBody = z.object({ error: z.object({ message: z.string() }) });

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
