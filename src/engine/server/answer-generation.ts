import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../../base/errors.ts';
import {
  endOfStream,
  roleChunk,
  tokenChunk,
  usageChunk,
  wholeAnswer,
  type AnswerHead,
  type Choice,
  type Counts,
} from './answers.ts';
import { tokenize, type Engine, type EngineRank } from './engine.ts';
import { badRequest, EngineError } from './errors.ts';
import { checkTokens, type GenerationRequest } from './generation-request.ts';
import type { AnswerGenerator, FinishReason } from './generator.ts';
import { comesFromElsewhere, Fetch, keepsCache } from './kv-transfer.ts';
import { sendError, sendJson } from './respond.ts';

/** Answers a completion or a chat, streaming or whole; aborts when the client leaves. */
export async function answerGeneration(
  engine: Engine,
  request: GenerationRequest,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const prompts: { text: string; tokens: number[] }[] = [];
  for (const prompt of request.prompts) prompts.push(await readPrompt(engine, request, prompt));
  if (response.destroyed) return;

  const params = engine.kvTransfer === null ? null : request.kvTransferParams;
  const elsewhere = comesFromElsewhere(params);
  if (elsewhere === 'incomplete') return neverAnswer(engine, response);
  const fetches: Fetch[] = [];
  if (elsewhere === 'yes') for (const { tokens } of prompts) fetches.push(await Fetch.open(params!, tokens));
  const abandon = (): void => fetches.forEach((each) => void each.abandon());
  if (response.destroyed) return abandon();

  const head: AnswerHead = {
    id: `${request.kind === 'chat' ? 'chatcmpl' : 'cmpl'}-${requestId(request, incoming)}`,
    created: Math.floor(Date.now() / 1000),
    model: request.model ?? engine.modelNames[0]!,
  };
  const conversation = new Conversation(engine, rankFor(engine, incoming), request, head, response);
  response.on('close', () => conversation.abort());
  response.on('close', abandon);
  try {
    prompts.forEach(({ text, tokens }, promptIndex) => {
      for (let n = 0; n < request.n; n++) {
        conversation.start(promptIndex * request.n + n, text, tokens, fetches[promptIndex] ?? null);
      }
    });
  } catch (error) {
    conversation.abort();
    // A full queue is found out after a stream has begun: vLLM says so in its first event.
    if (!(error instanceof EngineError && error.inStream && request.stream)) throw error;
    writeStreamHead(response);
    response.end(`data: ${error.body}\n\n${endOfStream}`);
  }
}

/** The rank that the request asks for, else the one with the least to do. @throws EngineError when there is no such rank */
function rankFor({ ranks }: Engine, incoming: IncomingMessage): EngineRank {
  const asked = incoming.headers['x-data-parallel-rank'];
  if (typeof asked === 'string' && /^\d+$/.test(asked)) {
    const rank = ranks[Number(asked)];
    if (rank !== undefined) return rank;
    throw badRequest(`data_parallel_rank ${asked} is out of range [0, ${ranks.length}).`);
  }
  return ranks.reduce((least, rank) => (rank.generator.load < least.generator.load ? rank : least));
}

/** vLLM waits for a cache of which it was not told enough, and dies of it when the client stops waiting. */
function neverAnswer(engine: Engine, response: ServerResponse): void {
  response.on('close', () => (engine.options.die ?? ((): never => process.exit(1)))());
}

async function readPrompt(
  engine: Engine,
  request: GenerationRequest,
  prompt: string | readonly number[],
): Promise<{ text: string; tokens: number[] }> {
  const isText = typeof prompt === 'string';
  const tokens = isText ? await tokenize(engine.tokenizer, prompt, request.addsBos) : [...prompt];
  if (!isText) checkTokens(tokens, engine.tokenizer);
  const limit = engine.maxModelLen;
  const { maxTokens } = request;
  if (maxTokens !== null && maxTokens > limit) {
    const message = `max_tokens=${maxTokens} cannot be greater than max_model_len=${limit}. Please request fewer output tokens.`;
    throw badRequest(message, 'max_tokens', maxTokens);
  }
  if (tokens.length >= limit) {
    const message =
      `This model's maximum context length is ${limit} tokens. However, your prompt contains ${tokens.length} input tokens, ` +
      'which exceeds this limit even without any output tokens. Please reduce the length of the input prompt.';
    throw badRequest(message, 'input_tokens', tokens.length);
  }
  if (maxTokens !== null && tokens.length + maxTokens > limit) {
    const message =
      `This model's maximum context length is ${limit} tokens. However, you requested ${maxTokens} output tokens and your ` +
      `prompt contains ${tokens.length} input tokens, for a total of ${tokens.length + maxTokens} tokens. ` +
      'Please reduce the length of the input prompt or the number of requested output tokens.';
    throw badRequest(message, 'input_tokens', tokens.length);
  }
  return { text: isText ? prompt : engine.tokenizer.decode(tokens), tokens };
}

function requestId(request: GenerationRequest, incoming: IncomingMessage): string {
  const header = incoming.headers['x-request-id'];
  return (typeof header === 'string' ? header : null) ?? request.requestId ?? randomBytes(8).toString('hex');
}

/** One request's choices, from the first token of any to the last of all. */
class Conversation {
  readonly #engine: Engine;
  readonly #generator: AnswerGenerator;
  readonly #request: GenerationRequest;
  readonly #head: AnswerHead;
  readonly #response: ServerResponse;
  readonly #choices: Choice[] = [];
  #unfinished = 0;
  #completionTokens = 0;
  #chunks = 0;
  #kvTransferParams: object | null = null;

  constructor(
    engine: Engine,
    { generator }: EngineRank,
    request: GenerationRequest,
    head: AnswerHead,
    response: ServerResponse,
  ) {
    this.#engine = engine;
    this.#generator = generator;
    this.#request = request;
    this.#head = head;
    this.#response = response;
    this.#unfinished = request.prompts.length * request.n;
  }

  start(index: number, promptText: string, promptTokens: readonly number[], incoming: Fetch | null): void {
    const { maxTokens, minTokens, ignoreEos, stop, cacheSalt } = this.#request;
    const order = {
      promptTokens,
      maxTokens: maxTokens ?? this.#engine.maxModelLen - promptTokens.length,
      minTokens,
      ignoreEos,
      stop,
      cacheSalt,
      incoming,
      keptAs: keepsCache(this.#transferParams)
        ? (id: string, reason: FinishReason) => this.#keep(id, reason, choice)
        : null,
      lora: this.#engine.loras.find(this.#request.model),
    };
    const answer = this.#generator.start(order, {
      token: (text, id, finish) => {
        try {
          this.#token(choice, text, id, finish);
        } catch (error) {
          this.#response.destroy(error instanceof Error ? error : new Error(messageOf(error)));
        }
      },
      failed: () => this.#fail(),
    });
    const choice: Choice = {
      index,
      promptText,
      promptTokenIds: promptTokens,
      answer,
      text: '',
      tokenIds: [],
      finish: null,
    };
    this.#choices.push(choice);
  }

  get #transferParams(): GenerationRequest['kvTransferParams'] {
    return this.#engine.kvTransfer === null ? null : this.#request.kvTransferParams;
  }

  /** A stream keeps its cache too, but has no place to say where: nobody fetches it. */
  #keep(id: string, reason: FinishReason, { promptTokenIds, answer, index }: Choice): void {
    const { kvTransfer } = this.#engine;
    const generator = this.#generator;
    // Only an answer cut short at its bound is one that goes on elsewhere.
    if (reason !== 'length') return generator.model.letGo(id);
    const { blockSize } = generator.model;
    const cached = answer.cachedTokens ?? 0;
    const answerId = this.#request.kind === 'chat' ? this.#head.id : `${this.#head.id}-${index}`;
    this.#kvTransferParams = kvTransfer!.grant(id, answerId, promptTokenIds, cached, blockSize);
  }

  #fail(): void {
    this.abort();
    sendError(this.#response, new EngineError(500, 'InternalServerError', 'Internal server error'));
  }

  abort(): void {
    for (const { answer, finish } of this.#choices) if (finish === null) answer.abort();
  }

  #token(choice: Choice, text: string, id: number, finish: Choice['finish']): void {
    const request = this.#request;
    const isFirst = choice.tokenIds.length === 0;
    choice.text += text;
    choice.tokenIds.push(id);
    choice.finish = finish;
    this.#completionTokens += 1;
    if (finish !== null) this.#unfinished -= 1;
    const isVeryLast = this.#unfinished === 0;
    if (!request.stream) {
      if (isVeryLast)
        sendJson(
          this.#response,
          200,
          wholeAnswer(request, this.#head, this.#choices, this.#counts(), this.#kvTransferParams),
        );
      return;
    }
    if (!this.#response.headersSent) writeStreamHead(this.#response);
    let out = isFirst && request.kind === 'chat' ? roleChunk(request, this.#head, choice) : '';
    out += tokenChunk(request, this.#head, choice, { text, id, isFirst, isVeryLast }, this.#counts());
    if (isVeryLast) {
      if (request.includeUsage) out += usageChunk(request, this.#head, this.#counts());
      this.#response.end(out + endOfStream);
      return;
    }
    this.#chunks += 1;
    const limit = this.#engine.failures.now.stopStreamAfterChunks;
    if (limit === null || this.#chunks < limit) {
      this.#response.write(out);
    } else {
      this.abort();
      this.#response.write(out, () => this.#response.destroy());
    }
  }

  #counts(): Counts {
    const prompts = this.#choices.filter(({ index }) => index % this.#request.n === 0);
    return {
      promptTokens: prompts.reduce((sum, choice) => sum + choice.promptTokenIds.length, 0),
      completionTokens: this.#completionTokens,
      cachedTokens: prompts.reduce((sum, choice) => sum + (choice.answer.cachedTokens ?? 0), 0),
    };
  }
}

function writeStreamHead(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', server: 'uvicorn' });
  response.socket?.setNoDelay(true);
}
