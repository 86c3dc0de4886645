import { Agent, request } from 'undici';
import { z } from 'zod';
import type { Clock } from '../../base/clock.ts';
import { messageOf, SignalboxError } from '../../base/errors.ts';
import { isObject } from '../../api/prompt.ts';
import { SseReader } from '../../api/sse.ts';
import { engineError, usageOf } from '../../api/usage.ts';
import type { Usage } from '../../api/usage.ts';
import { withoutNumbers } from './without-numbers.ts';

export type EndpointKind = 'completions' | 'chat';

export interface Target {
  readonly url: string;
  readonly model: string;
  readonly kind: EndpointKind;
  readonly stream: boolean;
  readonly timeoutMs: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** How one request went. Times are on the monotonic clock. */
export interface RequestResult {
  readonly endpoint: string | null;
  readonly reason: string | null;
  /** To be sent with the session's next request; null where sessions do not count. */
  readonly sessionToken: string | null;
  readonly startMs: number;
  /** First event with content; null without streaming. */
  readonly firstTokenMs: number | null;
  readonly endMs: number;
  readonly usage: Usage | null;
  /** Events with content, for answers that do not count their tokens. */
  readonly contentEvents: number;
  /** What went wrong, in words that are the same for the same trouble; null if nothing did. */
  readonly error: string | null;
}

/** An answer that is not streamed is read whole; larger ones are an error. */
const maxAnswerBytes = 64 * 1024 * 1024;

/** Keeps connections alive; as many as there are requests at once. */
export function createDispatcher(): Agent {
  // The limits on time are the request's own, over the whole of it.
  return new Agent({ keepAliveTimeout: 30_000, headersTimeout: 0, bodyTimeout: 0 });
}

const modelList = z.object({ data: z.array(z.object({ id: z.string() })) });

/** The first model that is served. Throws `environment` when nobody answers at `url`. */
export async function firstModel(url: string, dispatcher: Agent, headers: Record<string, string>): Promise<string> {
  let status: number;
  let body: unknown;
  try {
    const answer = await request(`${url}/v1/models`, { dispatcher, headers, signal: AbortSignal.timeout(10_000) });
    status = answer.statusCode;
    body = await answer.body.json().catch(() => null);
  } catch (error) {
    throw new SignalboxError('environment', `Nothing answers at ${url} (${messageOf(error)}). Is the gateway up?`);
  }
  const model = modelList.safeParse(body).data?.data[0]?.id;
  if (model !== undefined) return model;
  const said = engineError(body)?.message;
  throw new SignalboxError(
    'environment',
    `${url}/v1/models names no model (status ${status}${said === undefined ? '' : `: ${said}`}); give one with --model`,
  );
}

export async function sendRequest(
  target: Target,
  prompt: string,
  maxTokens: number,
  sessionToken: string | null,
  clock: Clock,
  dispatcher: Agent,
  signal: AbortSignal,
): Promise<RequestResult> {
  const body = JSON.stringify({
    model: target.model,
    ...(target.kind === 'chat' ? { messages: [{ role: 'user', content: prompt }] } : { prompt }),
    max_tokens: maxTokens,
    // The trace says how long the answer was.
    ignore_eos: true,
    ...(target.stream ? { stream: true, stream_options: { include_usage: true } } : {}),
  });
  const timeout = AbortSignal.timeout(target.timeoutMs);
  const startMs = clock.nowMs();
  let endpoint: string | null = null;
  let reason: string | null = null;
  let nextToken: string | null = null;
  const read: Answer = { firstTokenMs: null, usage: null, contentEvents: 0, error: null };
  try {
    const answer = await request(`${target.url}/v1/${target.kind === 'chat' ? 'chat/completions' : 'completions'}`, {
      method: 'POST',
      headers: {
        ...target.headers,
        'content-type': 'application/json',
        ...(sessionToken === null ? {} : { 'x-session-token': sessionToken }),
      },
      body,
      dispatcher,
      signal: AbortSignal.any([signal, timeout]),
    });
    endpoint = headerOf(answer.headers['x-signalbox-endpoint']);
    reason = headerOf(answer.headers['x-signalbox-reason']);
    nextToken = headerOf(answer.headers['x-session-token']);
    const isStream = String(answer.headers['content-type'] ?? '').startsWith('text/event-stream');
    if (answer.statusCode !== 200) {
      const said = engineError(parseJson(await readText(answer.body, 64 * 1024)))?.message;
      read.error = withoutNumbers(`${answer.statusCode}${said === undefined ? '' : ` ${said}`}`);
    } else if (isStream) {
      await readStream(answer.body, clock, read);
    } else {
      const json = parseJson(await readText(answer.body, maxAnswerBytes));
      const failure = engineError(json);
      read.usage = usageOf(json);
      read.error = failure === null ? null : withoutNumbers(failure.message);
      if (json === undefined) read.error = 'the answer is not JSON';
    }
  } catch (error) {
    if (signal.aborted) read.error = aborted;
    else if (timeout.aborted) read.error = `no answer within ${target.timeoutMs / 1000} s`;
    else read.error = connectionError(error);
  }
  return { endpoint, reason, sessionToken: nextToken, startMs, endMs: clock.nowMs(), ...read };
}

/** The `error` of requests that were ended from here. */
export const aborted = 'aborted';

interface Answer {
  firstTokenMs: number | null;
  usage: Usage | null;
  contentEvents: number;
  error: string | null;
}

async function readStream(body: AsyncIterable<Uint8Array>, clock: Clock, answer: Answer): Promise<void> {
  let isDone = false;
  const reader = new SseReader((data) => {
    if (data === '[DONE]') {
      isDone = true;
      return;
    }
    const event = parseJson(data);
    const failure = engineError(event);
    if (failure !== null) answer.error ??= `in the stream: ${withoutNumbers(failure.message)}`;
    answer.usage = usageOf(event) ?? answer.usage;
    if (hasContent(event)) {
      answer.firstTokenMs ??= clock.nowMs();
      answer.contentEvents += 1;
    }
  });
  for await (const chunk of body) reader.push(chunk);
  if (!isDone) answer.error ??= 'the stream ended early';
}

/** Whether an event brings text, reasoning or a tool call, and not only a role or usage. */
function hasContent(event: unknown): boolean {
  if (!isObject(event) || !Array.isArray(event['choices'])) return false;
  const choice: unknown = event['choices'][0];
  if (!isObject(choice)) return false;
  if (isFilled(choice['text'])) return true;
  const { delta } = choice;
  return (
    isObject(delta) && ['content', 'reasoning_content', 'reasoning', 'tool_calls'].some((key) => isFilled(delta[key]))
  );
}

function isFilled(value: unknown): boolean {
  return (typeof value === 'string' || Array.isArray(value)) && value.length > 0;
}

async function readText(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Error('the answer is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseJson(source: string): unknown {
  try {
    return JSON.parse(source) as unknown;
  } catch {
    return undefined;
  }
}

function headerOf(value: string | string[] | undefined): string | null {
  return (Array.isArray(value) ? value[0] : value) ?? null;
}

function connectionError(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ECONNREFUSED') return 'connection refused';
  if (code === 'ECONNRESET' || code === 'UND_ERR_SOCKET') return 'connection broken';
  return withoutNumbers(messageOf(error));
}
