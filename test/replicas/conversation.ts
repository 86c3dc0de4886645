import assert from 'node:assert/strict';
import { model, postJson } from '../support/fleet-under-test.ts';
import type { Replica } from './replicas.ts';

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A prompt of some thousand tokens, as a session's first turn. */
export const opening = (session: number): string =>
  `Session ${session}. ${`Facts of session ${session} that stay. `.repeat(600)}`;

interface Answer {
  readonly endpoint: string;
  readonly cachedTokens: number;
  readonly promptTokens: number;
}

/** One turn of a conversation; throws unless it is answered well. */
export async function say(replica: Replica, prompt: string, maxTokens = 4): Promise<Answer> {
  const answer = await postJson(`${replica.url}/v1/completions`, { model, prompt, max_tokens: maxTokens });
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  const { usage } = JSON.parse(text) as {
    usage: { prompt_tokens: number; prompt_tokens_details?: { cached_tokens?: number } };
  };
  return {
    endpoint: answer.headers.get('x-signalbox-endpoint')!,
    cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
    promptTokens: usage.prompt_tokens,
  };
}

/** Tokens of it that the replica holds for cached where it would send it. */
export async function predicted(replica: Replica, prompt: string): Promise<number> {
  const answer = await postJson(`${replica.adminUrl}/api/explain`, { model, prompt, max_tokens: 4 });
  const decision = (await answer.json()) as { predicted: { cachedTokens: number } };
  return decision.predicted.cachedTokens;
}
