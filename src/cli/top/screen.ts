import { writeSync } from 'node:fs';
import { emitKeypressEvents } from 'node:readline';
import type { Line } from './frame.ts';
import type { Key } from './view.ts';

/* The other screen, no cursor, and lines that are cut instead of wrapped; and back. */
const enter = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const leave = '\x1b[?7h\x1b[?25h\x1b[?1049l';
const toEndOfLine = '\x1b[K';
const looks = { title: '1', head: '1;4', bad: '31', selected: '7', dim: '2' } as const;
/** Without colour there is still bold and reverse. */
const plainLooks = { ...looks, bad: '1' } as const;

/** A terminal taken over whole, and always given back as it was: at the end, on signals, on errors. */
export class Screen {
  readonly #input: typeof process.stdin;
  readonly #output: typeof process.stdout;
  readonly #looks = process.env['NO_COLOR'] ? plainLooks : looks;
  readonly #giveBack = (): void => this.#leave();
  #isOpen = false;
  #onKeypress: ((text: string | undefined, key: { name?: string; ctrl?: boolean }) => void) | null = null;

  constructor(input = process.stdin, output = process.stdout) {
    this.#input = input;
    this.#output = output;
  }

  get size(): { columns: number; rows: number } {
    return { columns: this.#output.columns || 80, rows: this.#output.rows || 24 };
  }

  /** `key` gets each key, `resized` is called when another picture is needed, `ended` when there is nobody to show one to. */
  open(handlers: { key: (key: Key) => void; resized: () => void; ended: () => void }): void {
    const { key: onKey, resized, ended } = handlers;
    emitKeypressEvents(this.#input);
    this.#onKeypress = (text, { name, ctrl }) => {
      if (ctrl === true && name === 'z') this.#suspend();
      else if (ctrl === true && (name === 'c' || name === 'd')) ended();
      else if (ctrl !== true) onKey({ name, text });
    };
    this.#input.on('keypress', this.#onKeypress);
    this.#input.once('end', ended);
    this.#output.on('resize', resized);
    process.on('exit', this.#giveBack);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, ended);
    process.on('SIGCONT', () => {
      this.#isOpen = false;
      this.#enter();
      // Its size may have changed meanwhile: Node looks again when it hears of it.
      process.emit('SIGWINCH', 'SIGWINCH');
      resized();
    });
    this.#enter();
  }

  close(): void {
    this.#leave();
    process.off('exit', this.#giveBack);
    this.#input.pause();
  }

  paint(lines: readonly Line[]): void {
    const painted = lines.map(({ text, look }) => {
      return `${look === undefined ? text : `\x1b[${this.#looks[look]}m${text}\x1b[0m`}${toEndOfLine}`;
    });
    this.#output.write(`\x1b[H${painted.join('\r\n')}\x1b[J`);
  }

  #enter(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#input.setRawMode(true);
    this.#input.resume();
    this.#output.write(enter);
  }

  /** At once, since the process may be ending. */
  #leave(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    try {
      writeSync(this.#output.fd, leave);
      this.#input.setRawMode(false);
    } catch {
      // The terminal itself has gone.
    }
  }

  #suspend(): void {
    this.#leave();
    process.kill(process.pid, 'SIGTSTP');
  }
}
