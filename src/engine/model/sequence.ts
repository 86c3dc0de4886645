/** What the model must know of a request: lengths and block hashes, no text. */
export interface EngineRequest {
  readonly id: string;
  readonly promptTokens: number;
  /** Chained hashes of the prompt's whole blocks, in the model's block size. 0 means "matches nothing". */
  readonly blockHashes: ArrayLike<number>;
  readonly maxOutputTokens: number;
  /** Its prompt was computed by another engine: its blocks are filled from there, which `EngineModel.received` ends. */
  readonly isReceived?: boolean;
  /** Its blocks are kept past its last token, for another engine, until `EngineModel.letGo`. */
  readonly isKept?: boolean;
  /** The adapter it is for; the model itself without one. */
  readonly lora?: string | null;
  /** Hash of block `index` once generated tokens have filled it; without it such blocks are not found again. */
  readonly generatedBlockHash?: (index: number) => number;
}

/** A request inside the engine. Times are the caller's; NaN until they have come. */
export class Sequence {
  readonly request: EngineRequest;
  readonly id: string;
  readonly promptTokens: number;
  readonly lora: string | null;
  /** `receiving`: its blocks are there and being filled by another engine. */
  state: 'waiting' | 'receiving' | 'running' | 'ended' = 'waiting';
  /** Tokens produced so far. */
  generated = 0;
  preemptions = 0;
  /** Prompt tokens found in the cache when it was first admitted. */
  cachedTokens = 0;
  /** Prompt tokens that came from another engine. */
  receivedTokens = 0;
  readonly submittedMs: number;
  scheduledMs = NaN;
  firstTokenMs = NaN;
  lastTokenMs = NaN;

  /* Kept by the model. */
  computed = 0;
  scheduled = 0;
  /** Full blocks already offered to the cache. */
  sealed = 0;
  readonly blocks: number[] = [];
  readonly hashAt: (index: number) => number;
  readonly #generatedHashes: number[] = [];

  constructor(request: EngineRequest, submittedMs: number) {
    this.id = request.id;
    this.promptTokens = request.promptTokens;
    this.lora = request.lora ?? null;
    this.submittedMs = submittedMs;
    this.request = request;
    const { blockHashes } = request;
    this.hashAt = (index) =>
      index < blockHashes.length ? blockHashes[index]! : (this.#generatedHashes[index - blockHashes.length] ?? 0);
  }

  get totalTokens(): number {
    return this.promptTokens + this.generated;
  }

  get finished(): boolean {
    return this.generated >= this.request.maxOutputTokens;
  }

  /** Hash of a block that has just become full; generated ones are asked for once. */
  sealAt(index: number): number {
    const generatedIndex = index - this.request.blockHashes.length;
    if (generatedIndex >= this.#generatedHashes.length) {
      this.#generatedHashes.push(this.request.generatedBlockHash?.(index) ?? 0);
    }
    return this.hashAt(index);
  }

  admit(cachedTokens: number, cachedBlocks: number, nowMs: number): void {
    this.state = 'running';
    this.computed = cachedTokens;
    this.sealed = cachedBlocks;
    if (this.preemptions > 0) return;
    if (this.receivedTokens === 0) this.cachedTokens = cachedTokens;
    this.scheduledMs = nowMs;
  }

  /** Its prompt is there whole; its last token is computed here all the same, or there would be nothing to sample from. */
  receive(): void {
    this.state = 'waiting';
    this.computed = this.promptTokens - 1;
  }

  preempt(): void {
    this.state = 'waiting';
    this.computed = 0;
    this.scheduled = 0;
    this.sealed = 0;
    this.preemptions += 1;
  }

  produce(nowMs: number): void {
    this.generated += 1;
    if (this.generated === 1) this.firstTokenMs = nowMs;
    this.lastTokenMs = nowMs;
  }
}
