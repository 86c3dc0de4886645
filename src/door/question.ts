import { visibleHeaders } from '../api/control-headers.ts';
import { answerBytes } from '../api/prompt.ts';
import type { ParsedRequest, PromptKind, RequestKind } from '../api/request.ts';
import { parseOther, parseRequest } from '../api/request.ts';
import type { BlockHashes } from '../base/block-hash.ts';
import { wishOf } from '../compat/llm-d-headers.ts';
import { timeoutOf } from '../compat/timeout-headers.ts';
import type { Flight } from '../dispatch/flight.ts';
import type { Fleet } from '../fleet/fleet.ts';
import {
  continuedHashes,
  noPrefix,
  prefixKeyOf,
  tokenCount,
  tokenKeyOf,
  type PrefixKey,
  type PromptIds,
} from '../fleet/prefix-index/prefix-key.ts';
import type { Key } from '../keys/key.ts';
import type { PromptTokens } from '../fleet/tokens/prompt-tokens.ts';
import type { SchedulingRequest, Wish } from '../scheduler/request.ts';
import type { InferenceObjects } from './inference-objects.ts';
import type { Sessions } from './sessions.ts';

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** What the scheduler is asked about a request. */
export interface Question {
  readonly request: SchedulingRequest;
  readonly key: PrefixKey;
}

const kindByPath = new Map<string, Exclude<RequestKind, 'other'>>([
  ['/v1/completions', 'completions'],
  ['/v1/chat/completions', 'chat'],
  ['/v1/embeddings', 'embeddings'],
]);

/** How a request on this path (without its query) is read. */
export function kindOf(path: string): RequestKind {
  return kindByPath.get(path) ?? 'other';
}

const conversationByPath = new Map<string, PromptKind>([
  ['/v1/responses', 'responses'],
  ['/v1/messages', 'messages'],
]);

/** Reads what came on this path (without its query). @throws SignalboxError in the client's terms. */
export function readRequest(
  path: string,
  body: Buffer,
  headers: Headers,
  objects: Pick<InferenceObjects, 'rewritten'>,
): ParsedRequest {
  const kind = kindOf(path);
  if (kind !== 'other') return objects.rewritten(parseRequest(kind, body));
  const type = headers['content-type'];
  return objects.rewritten(parseOther(body, typeof type === 'string' ? type : '', conversationByPath.get(path)));
}

/** Goes on with the prompt's token ids: at once where they are not needed or not to be had. */
export function withTokens(parsed: ParsedRequest, tokens: PromptTokens, goOn: (ids: PromptIds | null) => void): void {
  const { model, prompt, promptKind } = parsed;
  if (prompt.tokens !== null && prompt.bytes.length > 0) return goOn({ bytes: prompt.bytes, media: [] });
  const ids = promptKind === null ? null : tokens.idsOf(model, promptKind, parsed.body);
  if (ids === null) goOn(null);
  else void ids.then(goOn);
}

/** Puts the scheduler's question. `headers` have lower-case names. */
export function questionOf(
  parsed: ParsedRequest,
  requestId: string,
  headers: Headers,
  fleet: Fleet,
  sessions: Sessions,
  objects: InferenceObjects,
  ids: PromptIds | null,
  key: Key | null = null,
): Question {
  const { prompt, model } = parsed;
  const wish = withPriority(key === null ? wishOf(headers) : wishUnder(key, headers), objects);
  const timeoutSeconds = timeoutOf(headers);
  // Of several prompts only the first one's ids are known.
  const isSeveral = parsed.promptKind === 'completions' && prompt.textBytes > prompt.bytes.length;
  const estimate = ids !== null && !isSeveral ? 0 : Math.ceil(prompt.textBytes / fleet.bytesPerToken.of(model));
  return {
    key: prefixOf(parsed, fleet, ids),
    request: {
      requestId,
      model,
      kind: parsed.kind,
      streaming: parsed.streaming,
      promptTokens: prompt.tokens ?? Math.max(ids === null ? 0 : tokenCount(ids), estimate),
      promptCharacters: prompt.characters,
      splittable: parsed.splittable,
      maxOutputTokens: parsed.maxOutputTokens,
      sessionEndpoint: sessions.endpointOf(headers),
      bytes: parsed.body.length,
      headers: visibleHeaders(headers),
      ...(wish === null ? {} : { wish }),
      ...(timeoutSeconds === null ? {} : { timeoutSeconds }),
    },
  };
}

/** By the prompt's tokens where they are known, else by its text. */
function prefixOf({ prompt, model, cacheSalt }: ParsedRequest, fleet: Fleet, ids: PromptIds | null): PrefixKey {
  if (ids !== null) return tokenKeyOf(ids, fleet.adapterOf(model), cacheSalt, fleet.prefixSeed);
  if (prompt.bytes.length === 0) return noPrefix;
  return prefixKeyOf({ model, cacheSalt, bytes: prompt.bytes }, fleet.prefixSeed);
}

/** Whoever holds a key is one tenant, with that key's rank; what else a request says of that counts for nothing. */
function wishUnder({ name, rights }: Key, headers: Headers): Wish {
  const { ttftTargetSeconds = null, tpotTargetSeconds = null } = wishOf(headers) ?? {};
  const { objective = null, priority } = rights;
  const ranked = priority === undefined ? {} : { priority };
  return { objective, fairnessId: name, ttftTargetSeconds, tpotTargetSeconds, ...ranked };
}

/** With the priority that an InferenceObjective of the name that it brings has. */
function withPriority(wish: Wish | null, objects: InferenceObjects): Wish | null {
  const priority = wish === null || wish.objective === null ? null : objects.priorityOf(wish.objective);
  return wish === null || priority === null ? wish : { ...wish, priority };
}

interface Ended {
  readonly status: number;
  readonly complete: boolean;
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
  readonly cachedTokens: number | null;
  /** What the answer adds to its conversation; null when not known. */
  readonly text: string | null;
  readonly reason?: string;
}

/** Ends a flight and learns from its answer: how long the model's tokens are, what the next turn will begin with. */
export function finishFlight(flight: Flight, parsed: ParsedRequest, key: PrefixKey, fleet: Fleet, ended: Ended): void {
  const { status, complete, promptTokens, completionTokens, cachedTokens, text, reason } = ended;
  const { kind, model, cacheSalt, prompt } = parsed;
  if (promptTokens !== null && prompt.tokens === null) {
    fleet.bytesPerToken.observe(model, prompt.textBytes, promptTokens);
  }
  let answer: BlockHashes | null = null;
  // What the answer's text becomes as tokens is the engine's to tell, by its events.
  if (complete && text !== null && key.tokens === undefined && (kind === 'chat' || kind === 'completions')) {
    const keyed = { model, cacheSalt, bytes: prompt.bytes };
    answer = continuedHashes(key, keyed, answerBytes(kind, text), fleet.prefixSeed);
  }
  const ending = { status, complete, promptTokens, completionTokens, cachedTokens, answer };
  flight.finish(reason === undefined ? ending : { ...ending, reason });
}

/** The decision's reason, or, once it was tried elsewhere, why. */
function reasonOf({ decision }: Flight): string {
  const failed = decision.attempts.slice(0, -1);
  if (failed.length === 0) return decision.reason;
  return `retried after ${failed.map(({ endpoint, reason }) => `${endpoint}: ${reason}`).join(', ')}`;
}

/** Our own headers on an answer. Values are ASCII; names of endpoints and plugins nearly always are. */
export function decisionHeaders(flight: Flight, endpoint: string): Record<string, string> {
  return {
    'x-signalbox-decision': flight.decision.id,
    'x-signalbox-endpoint': headerText(endpoint),
    'x-signalbox-reason': headerText(reasonOf(flight)),
    ...queueHeader(flight),
  };
}

/** What was said of the wait when it began, and how long it was. */
function queueHeader({ decision }: Flight): Record<string, string> {
  const { ahead, queuedSeconds } = decision.admission;
  if (ahead === null) return {};
  const expected = Number.isNaN(ahead.seconds) ? 'unknown' : `${ahead.seconds.toFixed(1)}s`;
  return {
    'x-signalbox-queue': `position=${ahead.requests + 1}, expected=${expected}, waited=${queuedSeconds.toFixed(1)}s`,
  };
}

function headerText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}
