import { AnswerText } from '../api/answer-text.ts';
import { isObject } from '../api/prompt.ts';

/** What a client has of a streamed answer, however many endpoints it came from. */
export class StreamSoFar {
  readonly text = new AnswerText();
  /** As the first event has them. */
  id: unknown = null;
  created: unknown = null;
  /** Events with a choice in them. */
  choiceEvents = 0;
  /** Those that stand for something said, not for who says it: one a token, or fewer. */
  tokenEvents = 0;
  /** Prompt and answer in tokens, where the client asked for them; the answer's are all of it or none. */
  promptTokenIds: readonly number[] | null = null;
  readonly tokenIds: number[] = [];
  finishReason: string | null = null;
  /** The last event had tokens and no text: they are the beginning of a character. */
  endsUnsaid = false;

  /** Takes an event of it, parsed. */
  add(answer: unknown): void {
    if (!isObject(answer)) return;
    this.text.add(answer);
    this.id ??= answer['id'];
    this.created ??= answer['created'];
    const choice = firstChoice(answer);
    if (choice === null) return;
    this.choiceEvents += 1;
    if (!saysOnlyWho(choice)) this.tokenEvents += 1;
    const { finish_reason: finishReason, token_ids: tokenIds } = choice;
    if (typeof finishReason === 'string') this.finishReason = finishReason;
    if (Array.isArray(tokenIds)) {
      this.tokenIds.push(...(tokenIds as number[]));
      this.endsUnsaid = tokenIds.length > 0 && choice['text'] === '';
    }
    const promptTokenIds = choice['prompt_token_ids'] ?? answer['prompt_token_ids'];
    if (Array.isArray(promptTokenIds)) this.promptTokenIds ??= promptTokenIds as number[];
  }

  /** Takes an event that is like one before it but for its text, which is these bytes. */
  addAlike(bytes: Buffer, start: number, end: number): void {
    this.text.addBytes(bytes, start, end);
    this.choiceEvents += 1;
    this.tokenEvents += 1;
  }
}

export function firstChoice(answer: Record<string, unknown>): Record<string, unknown> | null {
  const { choices } = answer;
  const first: unknown = Array.isArray(choices) ? choices[0] : null;
  return isObject(first) ? first : null;
}

/** The first event of a chat has the role, and no text yet. */
function saysOnlyWho({ delta }: Record<string, unknown>): boolean {
  return isObject(delta) && typeof delta['role'] === 'string' && (delta['content'] ?? '') === '';
}
