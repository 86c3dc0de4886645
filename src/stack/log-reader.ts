import { statSync } from 'node:fs';
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
  /** Which copy of the log's front was the last one seen. */
  #cut: number | undefined;

  constructor(path: string, prefix = '', tailLines = Infinity) {
    this.#path = path;
    this.#prefix = prefix;
    this.#tailLines = tailLines;
  }

  /** What is there now. */
  readAll(): string {
    this.#cut = this.#lastCut();
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
    const cut = this.#lastCut();
    let missed = Buffer.alloc(0);
    if (cut !== this.#cut) {
      // What was not read yet is at the end of the copy.
      missed = Buffer.from(readRange(previousLog(this.#path), this.#position, sizeOf(previousLog(this.#path))));
      this.#position = 0;
      this.#cut = cut;
    }
    const end = Math.min(sizeOf(this.#path), this.#position + chunkBytes);
    const added = readRange(this.#path, this.#position, end);
    this.#position += added.length;
    const text = this.#unfinished + Buffer.concat([missed, added]).toString('utf8');
    // Whole lines only, so that no prefix lands within one and no character is cut.
    const lineEnd = text.lastIndexOf('\n') + 1;
    this.#unfinished = text.slice(lineEnd);
    return this.#withPrefix(text.slice(0, lineEnd));
  }

  #lastCut(): number | undefined {
    return statSync(previousLog(this.#path), { throwIfNoEntry: false })?.mtimeMs;
  }

  #withPrefix(text: string): string {
    return this.#prefix === '' ? text : text.replace(/^(?=.)/gm, this.#prefix);
  }
}
