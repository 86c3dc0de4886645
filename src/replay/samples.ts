/** What was measured of each request, a row each in the order they were sent. NaN: not measured, or it failed. */
export class Samples {
  readonly arrivalMs: Float64Array;
  readonly ttftSeconds: Float64Array;
  /** Seconds from one output token to the next, after the first. */
  readonly tpotSeconds: Float64Array;
  readonly e2eSeconds: Float64Array;
  readonly promptTokens: Float64Array;
  readonly outputTokens: Float64Array;
  readonly cachedTokens: Float64Array;
  /** Number of the endpoint that answered; -1 when none did. */
  readonly endpoint: Int16Array;
  #count = 0;

  constructor(capacity: number) {
    const column = (): Float64Array => new Float64Array(capacity).fill(NaN);
    this.arrivalMs = column();
    this.ttftSeconds = column();
    this.tpotSeconds = column();
    this.e2eSeconds = column();
    this.promptTokens = column();
    this.outputTokens = column();
    this.cachedTokens = column();
    this.endpoint = new Int16Array(capacity).fill(-1);
  }

  get count(): number {
    return this.#count;
  }

  arrive(nowMs: number, promptTokens: number, outputTokens: number): number {
    const row = this.#count++;
    this.arrivalMs[row] = nowMs;
    this.promptTokens[row] = promptTokens;
    this.outputTokens[row] = outputTokens;
    return row;
  }

  firstToken(row: number, nowMs: number, cachedTokens: number): void {
    this.ttftSeconds[row] = (nowMs - this.arrivalMs[row]!) / 1000;
    this.cachedTokens[row] = cachedTokens;
  }

  finish(row: number, nowMs: number, endpoint: number): void {
    const e2eSeconds = (nowMs - this.arrivalMs[row]!) / 1000;
    const outputTokens = this.outputTokens[row]!;
    this.e2eSeconds[row] = e2eSeconds;
    if (outputTokens > 1) this.tpotSeconds[row] = (e2eSeconds - this.ttftSeconds[row]!) / (outputTokens - 1);
    this.endpoint[row] = endpoint;
  }
}
