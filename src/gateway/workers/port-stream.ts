import { Duplex } from 'node:stream';
import type { MessagePort } from 'node:worker_threads';

/** So much at most is on its way before the other end says that it wants more. */
const mostUnreadBytes = 1024 * 1024;

type Message = { readonly bytes: Uint8Array } | { readonly taken: number } | { readonly end: true };

/** A stream of bytes to another thread and back, over a message port: what HTTP is spoken over without a socket. */
export class PortStream extends Duplex {
  readonly #port: MessagePort;
  /** Written here and not taken there; come from there and not yet said to be taken. */
  #unreadBytes = 0;
  #untakenBytes = 0;
  #goOn: (() => void) | null = null;

  constructor(port: MessagePort) {
    super();
    this.#port = port;
    port.on('message', (message: Message) => this.#heard(message));
    port.once('close', () => this.destroy());
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#unreadBytes += chunk.length;
    this.#tell({ bytes: chunk });
    if (this.#unreadBytes < mostUnreadBytes) done();
    else this.#goOn = done;
  }

  override _final(done: () => void): void {
    this.#tell({ end: true });
    done();
  }

  override _read(): void {
    if (this.#untakenBytes === 0) return;
    this.#tell({ taken: this.#untakenBytes });
    this.#untakenBytes = 0;
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#port.close();
    done(error);
  }

  #tell(message: Message): void {
    this.#port.postMessage(message);
  }

  #heard(message: Message): void {
    if ('end' in message) return void this.push(null);
    if ('taken' in message) {
      this.#unreadBytes -= message.taken;
      const goOn = this.#goOn;
      if (goOn === null || this.#unreadBytes >= mostUnreadBytes) return;
      this.#goOn = null;
      return goOn();
    }
    this.#untakenBytes += message.bytes.length;
    this.push(Buffer.from(message.bytes));
  }
}
