import { setTimeout as sleep } from 'node:timers/promises';
import { lastLines, previousLog, readRange, readTail, sizeOf } from './log-file.ts';

const pollMs = 100;
const chunkBytes = 1024 * 1024;
/** How often to ask whether the log's writer is still there, in polls. */
const pollsPerCheck = 5;

/** Reads one log from its start, or its last lines, and on as it grows; across the cut when it is made shorter. */
export class LogReader {
  readonly #path: string;
  readonly #prefix: string;
  readonly #tailLines: number;
  #position = 0;
  #unfinished = '';

  constructor(path: string, prefix = '', tailLines = Infinity) {
    this.#path = path;
    this.#prefix = prefix;
    this.#tailLines = tailLines;
  }

  /** What is there now. */
  readAll(): string {
    this.#position = sizeOf(this.#path);
    const text = readTail(previousLog(this.#path)) + readRange(this.#path, 0, this.#position).toString('utf8');
    return this.#withPrefix(lastLines(text, this.#tailLines));
  }

  /** What is added from now on, until `isAlive` says no. */
  async *follow(isAlive: () => boolean): AsyncGenerator<string> {
    for (let polls = 1; ; polls++) {
      const text = this.#readNew();
      if (text !== '') yield text;
      else if (polls % pollsPerCheck === 0 && !isAlive()) return;
      if (text === '') await sleep(pollMs);
    }
  }

  #readNew(): string {
    const size = sizeOf(this.#path);
    let bytes = Buffer.alloc(0);
    if (size < this.#position) {
      // It was cut: what was not read yet is at the end of the copy.
      bytes = Buffer.from(readRange(previousLog(this.#path), this.#position, sizeOf(previousLog(this.#path))));
      this.#position = 0;
    }
    const added = readRange(this.#path, this.#position, Math.min(size, this.#position + chunkBytes));
    this.#position += added.length;
    const text = this.#unfinished + Buffer.concat([bytes, added]).toString('utf8');
    // Whole lines only, so that no prefix lands within one and no character is cut.
    const end = text.lastIndexOf('\n') + 1;
    this.#unfinished = text.slice(end);
    return this.#withPrefix(text.slice(0, end));
  }

  #withPrefix(text: string): string {
    return this.#prefix === '' ? text : text.replace(/^(?=.)/gm, this.#prefix);
  }
}
