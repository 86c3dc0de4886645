import type { Answer, FinishReason } from './generator.ts';
import type { GenerationRequest } from './generation-request.ts';

/** vLLM marks its release in answers; ours says what it stands in for. */
export const engineVersion = '0.32.0';
const fingerprint = `vllm-${engineVersion}-signalbox`;

/** One choice of an answer being made. */
export interface Choice {
  readonly index: number;
  readonly promptText: string;
  readonly promptTokenIds: readonly number[];
  readonly answer: Answer;
  text: string;
  readonly tokenIds: number[];
  finish: { reason: FinishReason; stopReason: string | null } | null;
}

/** What all chunks and the whole answer share. */
export interface AnswerHead {
  readonly id: string;
  readonly created: number;
  readonly model: string;
}

export interface Counts {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Null where it is not said (before the end of a stream). */
  readonly cachedTokens: number | null;
}

function usage(counts: Counts): object {
  const { promptTokens, completionTokens, cachedTokens } = counts;
  return {
    prompt_tokens: promptTokens,
    total_tokens: promptTokens + completionTokens,
    completion_tokens: completionTokens,
    ...(cachedTokens === null
      ? {}
      : {
          prompt_tokens_details: { cached_tokens: cachedTokens, created_cache_tokens: null, multimodal_tokens: null },
        }),
  };
}

/** The body of an answer that does not stream. */
export function wholeAnswer(
  request: GenerationRequest,
  head: AnswerHead,
  choices: readonly Choice[],
  counts: Counts,
  kvTransferParams: object | null,
): object {
  const ids = request.returnTokenIds;
  const isChat = request.kind === 'chat';
  return {
    id: head.id,
    object: isChat ? 'chat.completion' : 'text_completion',
    created: head.created,
    model: head.model,
    choices: choices.map((choice) =>
      isChat
        ? {
            index: choice.index,
            message: {
              role: 'assistant',
              content: choice.text,
              refusal: null,
              annotations: null,
              audio: null,
              function_call: null,
              reasoning: null,
            },
            logprobs: null,
            finish_reason: choice.finish?.reason ?? null,
            stop_reason: choice.finish?.stopReason ?? null,
            token_ids: ids ? choice.tokenIds : null,
            routed_experts: null,
          }
        : {
            index: choice.index,
            text: request.echo ? choice.promptText + choice.text : choice.text,
            logprobs: null,
            finish_reason: choice.finish?.reason ?? null,
            stop_reason: choice.finish?.stopReason ?? null,
            token_ids: ids ? choice.tokenIds : null,
            prompt_logprobs: null,
            prompt_token_ids: ids ? choice.promptTokenIds : null,
            routed_experts: null,
          },
    ),
    service_tier: null,
    system_fingerprint: fingerprint,
    usage: { ...usage(counts), completion_tokens_details: null },
    ...(isChat
      ? {
          prompt_logprobs: null,
          prompt_token_ids: ids ? (choices[0]?.promptTokenIds ?? null) : null,
          prompt_text: null,
        }
      : {}),
    kv_transfer_params: kvTransferParams,
    ec_transfer_params: null,
    metrics: null,
  };
}

/** The chunk before any token of a chat. */
export function roleChunk(request: GenerationRequest, head: AnswerHead, choice: Choice): string {
  return event({
    id: head.id,
    object: 'chat.completion.chunk',
    created: head.created,
    model: head.model,
    choices: [{ index: choice.index, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }],
    prompt_token_ids: request.returnTokenIds ? choice.promptTokenIds : null,
    prompt_text: null,
  });
}

export function tokenChunk(
  request: GenerationRequest,
  head: AnswerHead,
  choice: Choice,
  token: { text: string; id: number; isFirst: boolean; isVeryLast: boolean },
  counts: Counts,
): string {
  const finish = choice.finish === null ? {} : { stop_reason: choice.finish.stopReason };
  const finishReason = choice.finish?.reason ?? null;
  const tokenIds = request.returnTokenIds ? [token.id] : null;
  const isChat = request.kind === 'chat';
  return event({
    id: head.id,
    object: isChat ? 'chat.completion.chunk' : 'text_completion',
    created: head.created,
    model: head.model,
    choices: [
      isChat
        ? {
            index: choice.index,
            delta: { content: token.text },
            logprobs: null,
            finish_reason: finishReason,
            ...finish,
            token_ids: tokenIds,
          }
        : {
            index: choice.index,
            text: request.echo && token.isFirst ? choice.promptText + token.text : token.text,
            logprobs: null,
            finish_reason: finishReason,
            stop_reason: choice.finish?.stopReason ?? null,
            prompt_token_ids: request.returnTokenIds && token.isFirst ? choice.promptTokenIds : null,
            token_ids: tokenIds,
          },
    ],
    ...(request.continuousUsage ? { usage: usage({ ...counts, cachedTokens: null }) } : {}),
    ...(token.isVeryLast && !request.includeUsage ? { system_fingerprint: fingerprint } : {}),
  });
}

export function usageChunk(request: GenerationRequest, head: AnswerHead, counts: Counts): string {
  return event({
    id: head.id,
    object: request.kind === 'chat' ? 'chat.completion.chunk' : 'text_completion',
    created: head.created,
    model: head.model,
    choices: [],
    usage: usage(counts),
    system_fingerprint: fingerprint,
  });
}

export const endOfStream = 'data: [DONE]\n\n';

export function event(value: object): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}
