import { pino, type DestinationStream, type Logger } from 'pino';

export type { Logger };

/**
 * JSON lines for people and collectors. Written asynchronously, so that a slow reader never stops the process;
 * past `maxBufferBytes` lines are dropped rather than kept.
 */
export function createLogger(name: string, destination: DestinationStream = lineFile(1)): Logger {
  return pino(
    {
      base: { name },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: ['headers.authorization', 'headers.cookie', 'headers["x-api-key"]'], remove: true },
    },
    destination,
  );
}

const maxBufferBytes = 8 * 1024 * 1024;

/** A line writer onto a file or descriptor that drops instead of blocking or growing. */
export function lineFile(target: string | number): ReturnType<typeof pino.destination> {
  const destination = pino.destination({ dest: target, sync: false, mkdir: true, maxLength: maxBufferBytes });
  // A closed pipe or a full disk must not take the process with it.
  destination.on('error', () => undefined);
  return destination;
}

/** Lines wait for each other so long, and to so much text, before they are written. */
const batchMs = 20;
const batchCharacters = 64 * 1024;

/** A line writer for lines that come by the thousand: a write costs more than what is in it. */
export class LineBatch {
  readonly #file: ReturnType<typeof lineFile>;
  readonly #isOurs: boolean;
  #text = '';

  constructor(target: string | number) {
    this.#file = lineFile(target);
    this.#isOurs = typeof target === 'string';
  }

  /** Whole lines, each with its end. */
  write(lines: string): void {
    if (this.#text === '') setTimeout(() => this.#flush(), batchMs);
    this.#text += lines;
    if (this.#text.length >= batchCharacters) this.#flush();
  }

  /** Writes what there is and closes the file; a descriptor that was given stays open. */
  end(): void {
    this.#flush();
    if (this.#isOurs) this.#file.end();
  }

  #flush(): void {
    const text = this.#text;
    this.#text = '';
    if (text !== '') this.#file.write(text);
  }
}
