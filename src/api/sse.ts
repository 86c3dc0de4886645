/**
 * Incremental reader of a `text/event-stream` body (WHATWG HTML section 9.2), for the `data` of each event.
 * An event larger than `maxEventBytes` is skipped: the bytes are relayed by others, this only looks on.
 */
const maxEventBytes = 1024 * 1024;
const lineFeed = 0x0a;

export class SseReader {
  readonly #onData: (data: string) => void;
  #rest = '';
  #isBetween = true;
  readonly #decoder = new TextDecoder();

  constructor(onData: (data: string) => void) {
    this.#onData = onData;
  }

  /** Whether what comes next begins an event. */
  get isBetweenEvents(): boolean {
    return this.#isBetween;
  }

  push(chunk: Uint8Array): void {
    let text = this.#rest + this.#decoder.decode(chunk, { stream: true });
    if (text.includes('\r')) text = text.replace(/\r\n?/g, '\n');
    let start = 0;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n', start)) {
      this.#event(text.slice(start, end));
      start = end + 2;
    }
    const rest = text.length - start;
    this.#rest = rest > maxEventBytes ? '' : text.slice(start);
    if (chunk.length > 0) this.#isBetween = rest === 0 && chunk.at(-1) === lineFeed;
  }

  #event(event: string): void {
    if (event.startsWith('data: ') && !event.includes('\n')) {
      this.#onData(event.slice(6));
      return;
    }
    const lines = event.split('\n').filter((line) => line.startsWith('data:'));
    if (lines.length > 0) this.#onData(lines.map((line) => line.slice(line[5] === ' ' ? 6 : 5)).join('\n'));
  }
}
