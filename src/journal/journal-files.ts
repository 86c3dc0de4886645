import { mkdir, open, readdir, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Decision } from '../scheduler/decision.ts';
import { decisionText } from './decision-json.ts';
import type { Journal } from './journal.ts';

interface JournalFilesOptions {
  readonly folder: string;
  /** All of its files together; the oldest go. */
  readonly limitBytes: number;
  /** Tells the files of several threads apart that write to one folder. */
  readonly writer?: number;
  /** Told once of each spell of trouble with the disk. */
  onError(error: unknown): void;
}

const flushMs = 250;
/** Ended and not yet written; past it the oldest are dropped. */
const mostPending = 10_000;
/** Put into text at once, at least, before other work gets its turn. */
const batchBytes = 64 * 1024;
/** The limit is kept by removing whole files: so many make it up. */
const fileCount = 8;
const fileName = /^decisions-[0-9T-]+Z(?:-(\d+))?\.jsonl$/;

/**
 * Appends each Decision that has ended to a file, a line of JSON each (`DecisionJson`), and begins another file when one
 * is full. Nothing waits for the disk: what it cannot keep up with is dropped, the oldest first, and counted.
 */
export class JournalFiles {
  readonly #options: JournalFilesOptions;
  readonly #stopWatching: () => void;
  readonly #timer: NodeJS.Timeout;
  #pending: Decision[] = [];
  #file: FileHandle | null = null;
  #fileBytes = 0;
  #flushing: Promise<void> | null = null;
  #isInTrouble = false;
  /** Lines written and Decisions dropped, since the start. */
  written = 0;
  dropped = 0;

  constructor(journal: Journal, options: JournalFilesOptions) {
    this.#options = options;
    this.#stopWatching = journal.watch({ decided: () => undefined, ended: (decision) => this.#add(decision) });
    this.#timer = setInterval(() => void this.#flush(), flushMs).unref();
  }

  /** Writes what there is and ends. */
  async close(): Promise<void> {
    this.#stopWatching();
    clearInterval(this.#timer);
    await this.#flushing;
    await this.#flush();
    await this.#file?.close().catch(() => undefined);
  }

  #add(decision: Decision): void {
    this.#pending.push(decision);
    // In one go, for taking them off the front one by one would be slow.
    if (this.#pending.length > 2 * mostPending) this.#drop(this.#pending.length - mostPending);
  }

  #drop(count: number): void {
    this.#pending.splice(0, count);
    this.dropped += count;
  }

  #flush(): Promise<void> {
    return (this.#flushing ??= this.#writeAll().finally(() => (this.#flushing = null)));
  }

  async #writeAll(): Promise<void> {
    while (this.#pending.length > 0) {
      let text = '';
      let count = 0;
      while (count < this.#pending.length && text.length < batchBytes) {
        text += `${decisionText(this.#pending[count++]!)}\n`;
      }
      this.#pending.splice(0, count);
      try {
        await this.#write(Buffer.from(text));
        this.written += count;
        this.#isInTrouble = false;
      } catch (error) {
        if (!this.#isInTrouble) this.#options.onError(error);
        this.#isInTrouble = true;
        this.dropped += count;
        // The next one begins with a whole line.
        await this.#file?.close().catch(() => undefined);
        this.#file = null;
        return;
      }
      await setImmediate();
    }
  }

  async #write(lines: Buffer): Promise<void> {
    const { folder, limitBytes } = this.#options;
    if (this.#file === null || this.#fileBytes > limitBytes / fileCount) {
      await this.#file?.close();
      this.#file = null;
      await mkdir(folder, { recursive: true });
      await this.#makeRoom();
      const { writer = 0 } = this.#options;
      const date = new Date().toISOString().replace(/[:.]/g, '-');
      const name = `decisions-${date}${writer === 0 ? '' : `-${writer}`}.jsonl`;
      this.#file = await open(join(folder, name), 'a', 0o600);
      this.#fileBytes = 0;
    }
    await this.#file.appendFile(lines);
    this.#fileBytes += lines.byteLength;
  }

  /** Removes the oldest files until one more can be filled. */
  async #makeRoom(): Promise<void> {
    const { folder, limitBytes, writer = 0 } = this.#options;
    const isOwn = (name: string): boolean => {
      const found = fileName.exec(name);
      return found !== null && Number(found[1] ?? 0) === writer;
    };
    // Their names begin with their dates.
    const names = (await readdir(folder)).filter(isOwn).sort();
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
    let total = sizes.reduce((sum, size) => sum + size, 0);
    for (const [index, name] of names.entries()) {
      if (total <= limitBytes - limitBytes / fileCount) return;
      await rm(join(folder, name), { force: true });
      total -= sizes[index]!;
    }
  }
}
