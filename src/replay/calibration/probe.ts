import { Agent, request } from 'undici';
import { z } from 'zod';
import { SseReader } from '../../api/sse.ts';
import { messageOf, SignalboxError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';

/** What a streamed answer showed. Milliseconds on the monotonic clock. */
export interface Streamed {
  readonly startMs: number;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly longestGapMs: number;
  readonly tokens: number;
}

interface EngineFacts {
  readonly model: string;
  /** Null where the engine does not say. */
  readonly maxModelTokens: number | null;
}

/** An engine as calibration talks to it: prompts of exact lengths that no cache knows, answers of exact lengths. */
export interface Probe {
  /** Throws `environment` when nothing there speaks the OpenAI API. */
  facts(wantedModel: string | null): Promise<EngineFacts>;
  /** The engine's Prometheus page; empty where it has none. */
  metrics(): Promise<string>;
  /** Streams one answer. Throws `environment` with the engine's words when it refuses. */
  stream(model: string, promptTokens: number, outputTokens: number, signal?: AbortSignal): Promise<Streamed>;
}

const models = z.object({
  data: z.array(z.object({ id: z.string(), max_model_len: z.number().int().positive().nullish() })).min(1),
});
const chunk = z.object({
  choices: z.array(z.object({ text: z.string() })),
  usage: z.object({ completion_tokens: z.number() }).nullish(),
});
const requestTimeoutMs = 120_000;

/** An engine by HTTP. */
export class EngineProbe implements Probe {
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #random: Random;
  readonly #agent = new Agent({ keepAliveTimeout: 30_000, headersTimeout: 0, bodyTimeout: 0 });

  constructor(url: string, apiKey: string | null, random: Random) {
    this.#url = url.replace(/\/+$/, '');
    this.#headers = {
      'content-type': 'application/json',
      ...(apiKey !== null && { authorization: `Bearer ${apiKey}` }),
    };
    this.#random = random;
  }

  async facts(wantedModel: string | null): Promise<EngineFacts> {
    const { data } = models.safeParse(await this.#get('/v1/models').then(parseJson));
    const found = data?.data.find(({ id }) => wantedModel === null || id === wantedModel);
    if (found !== undefined) return { model: found.id, maxModelTokens: found.max_model_len ?? null };
    const said = data === undefined ? 'names no model at /v1/models' : `does not serve "${wantedModel}"`;
    throw new SignalboxError('environment', `${this.#url} ${said}.`);
  }

  async metrics(): Promise<string> {
    return this.#get('/metrics').catch(() => '');
  }

  async stream(model: string, promptTokens: number, outputTokens: number, signal?: AbortSignal): Promise<Streamed> {
    const body = JSON.stringify({
      model,
      prompt: Array.from({ length: promptTokens }, () => 300 + this.#random.below(7000)),
      max_tokens: outputTokens,
      ignore_eos: true,
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    });
    const timeout = AbortSignal.timeout(requestTimeoutMs);
    const startMs = performance.now();
    const answer = await request(`${this.#url}/v1/completions`, {
      method: 'POST',
      dispatcher: this.#agent,
      headers: this.#headers,
      body,
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    });
    if (answer.statusCode !== 200) {
      const text = (await answer.body.text()).slice(0, 500);
      throw new SignalboxError('environment', `The engine answered ${answer.statusCode}: ${text}`);
    }
    let firstMs = NaN;
    let lastMs = NaN;
    let longestGapMs = 0;
    let tokens = 0;
    const events = new SseReader((data) => {
      const { data: seen } = chunk.safeParse(parseJson(data));
      if (seen === undefined) return;
      tokens = seen.usage?.completion_tokens ?? tokens;
      if (seen.choices.length === 0) return;
      const nowMs = performance.now();
      if (Number.isNaN(firstMs)) firstMs = nowMs;
      else longestGapMs = Math.max(longestGapMs, nowMs - lastMs);
      lastMs = nowMs;
    });
    for await (const bytes of answer.body) events.push(bytes as Uint8Array);
    if (Number.isNaN(firstMs)) throw new SignalboxError('environment', 'The engine streamed no token.');
    return { startMs, firstMs, lastMs, longestGapMs, tokens: tokens === 0 ? outputTokens : tokens };
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #get(path: string): Promise<string> {
    try {
      const answer = await request(`${this.#url}${path}`, {
        dispatcher: this.#agent,
        headers: this.#headers,
        signal: AbortSignal.timeout(10_000),
      });
      return await answer.body.text();
    } catch (error) {
      throw new SignalboxError('environment', `Nothing answers at ${this.#url} (${messageOf(error)}).`);
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
