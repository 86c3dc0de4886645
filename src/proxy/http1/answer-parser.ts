import { ChunkedDecoder } from './chunked.ts';
import { BadMessage, bodyFraming, closesAfter, maxHeadBytes, parseHead, type Headers } from './head.ts';

/** Hears of an answer as it comes. */
interface Listener {
  head(status: number, headers: Headers): void;
  data(bytes: Buffer): void;
}

const headEnd = Buffer.from('\r\n\r\n');

/** Reads the answers on one connection, one after the other. */
export class AnswerParser {
  /** The beginning of a head. */
  #rest: Buffer | null = null;
  #isForHead = false;
  #inBody = false;
  #decoder: ChunkedDecoder | null = null;
  /** Of a body whose length was said; Infinity when it ends with the connection. */
  #left = 0;
  isOver = true;
  /** Whether the connection ends with this answer. */
  closes = false;
  /** For how long the engine keeps the connection, where it says; else Infinity. */
  keepAliveMs = Infinity;

  /** The next answer is to be read; `isForHead` when it has no body whatever its head says. */
  begin(isForHead: boolean): void {
    this.#isForHead = isForHead;
    this.#inBody = false;
    this.#decoder = null;
    this.#rest = null;
    this.isOver = false;
    this.closes = false;
  }

  /** Whether the answer is whole when the connection ends. */
  get endsWithConnection(): boolean {
    return this.#inBody && this.#left === Infinity;
  }

  connectionEnded(): void {
    this.isOver = true;
    this.closes = true;
  }

  /** @throws BadMessage */
  take(bytes: Buffer, listener: Listener): void {
    let at = 0;
    while (!this.#inBody && !this.isOver) {
      const all = this.#rest === null ? bytes : Buffer.concat([this.#rest, bytes]);
      const end = all.indexOf(headEnd, this.#rest === null ? at : 0);
      if ((end < 0 ? all.length : end) - at > maxHeadBytes) throw new BadMessage('its head is too large');
      if (end < 0) {
        this.#rest = this.#rest === null ? Buffer.from(all.subarray(at)) : all;
        return;
      }
      const start = this.#rest === null ? at : 0;
      this.#rest = null;
      bytes = all;
      at = end + headEnd.length;
      this.#head(all.toString('latin1', start, end), listener);
    }
    if (!this.isOver) at = this.#body(bytes, at, listener);
    // What follows an answer answers nothing: the connection is not used again.
    if (this.isOver && at < bytes.length) this.closes = true;
  }

  #head(text: string, listener: Listener): void {
    const { startLine, headers } = parseHead(text);
    const line = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: .*)?$/.exec(startLine);
    if (line === null) throw new BadMessage('its first line is not HTTP/1.1 and a status');
    const status = Number(line[2]);
    if (status === 101) throw new BadMessage('it changes the protocol');
    if (status < 200) return;
    const isHttp10 = line[1] === '0';
    this.closes = closesAfter(headers, isHttp10);
    const hint = headers['keep-alive'];
    const seconds = hint === undefined ? null : /timeout=(\d+)/.exec(String(hint));
    this.keepAliveMs = seconds === null ? Infinity : Number(seconds[1]) * 1000;
    const framing = bodyFraming(headers, isHttp10);
    this.#inBody = true;
    if (this.#isForHead || status === 204 || status === 304) {
      this.#left = 0;
    } else if (framing === 'chunked') {
      this.#decoder = new ChunkedDecoder();
    } else {
      this.#left = framing ?? Infinity;
    }
    this.isOver = this.#decoder === null && this.#left === 0;
    listener.head(status, headers);
  }

  #body(bytes: Buffer, start: number, listener: Listener): number {
    if (this.#decoder !== null) {
      const { from, to, rest } = this.#decoder.decode(bytes, start);
      this.isOver = this.#decoder.isOver;
      if (from < to) listener.data(bytes.subarray(from, to));
      return rest;
    }
    const end = start + Math.min(this.#left, bytes.length - start);
    this.#left -= end - start;
    this.isOver = this.#left === 0;
    if (end > start) listener.data(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
    return end;
  }
}
