/** What the scheduler knows of a request. No prompt text: lengths, hashes and routing hints only. */
export interface SchedulingRequest {
  readonly requestId: string;
  readonly model: string;
  /** The OpenAI route's last part, or `other` for routes placed by load alone. */
  readonly kind: 'completions' | 'chat' | 'embeddings' | 'other';
  readonly streaming: boolean;
  /** Length of the prompt; estimated from its characters when no tokenizer is at hand. 0 when there is none. */
  readonly promptTokens: number;
  /** The same in characters, where it was counted. */
  readonly promptCharacters?: number;
  /** False when its prompt must be computed where it is answered: several prompts or answers, or marks on prompt tokens. */
  readonly splittable?: boolean;
  /** The output bound the client gave, null when it gave none. */
  readonly maxOutputTokens: number | null;
  /** Endpoint name from a session token that was verified at the door; null without one. */
  readonly sessionEndpoint: string | null;
  /** Headers that plugins may read (lower-case), already stripped of secrets. */
  readonly headers: Readonly<Record<string, string>>;
}
