/** Who asks, and how soon an answer is wanted: what admission goes by. */
export interface Caller {
  /** Higher goes first; 0 where nobody said; negative is shed first. */
  readonly priority: number;
  /** Whoever shares it is one tenant: tenants of a priority are served alike. */
  readonly fairnessId: string;
  /** What was asked for, null where nothing was: what cannot be met is refused. */
  readonly ttftTargetSeconds: number | null;
  readonly tpotTargetSeconds: number | null;
}

/** What a request says of itself, before it is known what that is worth here. */
export interface Wish extends Omit<Caller, 'priority'> {
  /** The name of an objective. */
  readonly objective: string | null;
  /** What an InferenceObjective of that name says; absent where there is none. */
  readonly priority?: number;
}

export const anyCaller: Caller = {
  priority: 0,
  fairnessId: 'default-flow',
  ttftTargetSeconds: null,
  tpotTargetSeconds: null,
};

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
  /** Absent where nobody said who asks: `anyCaller`. */
  readonly caller?: Caller;
  /** Absent where it says nothing; admission makes the caller of it. */
  readonly wish?: Wish;
  /** What it keeps in memory while it waits, where that was counted. */
  readonly bytes?: number;
  /** How long its client waits for an answer to begin, where it says so. */
  readonly timeoutSeconds?: number;
  /** Headers that plugins may read (lower-case), already stripped of secrets. */
  readonly headers: Readonly<Record<string, string>>;
}
