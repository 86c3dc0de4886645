import { BroadcastChannel } from 'node:worker_threads';
import type { Link, LinkHandlers } from './link.ts';

/** A way to all threads of this process that serve together: what is written reaches each of the others once. */
export class ThreadLink implements Link {
  readonly isBusy = false;
  readonly reason = '';
  isUp = false;
  readonly #channel: BroadcastChannel;

  /** `name`: the same for all of them, and for nobody else. */
  constructor(name: string, handlers: LinkHandlers) {
    this.#channel = new BroadcastChannel(name).unref();
    this.#channel.onmessage = (event: unknown) => {
      const { buffer, byteOffset, length } = (event as { readonly data: Uint8Array<ArrayBuffer> }).data;
      handlers.read(Buffer.from(buffer, byteOffset, length));
    };
    queueMicrotask(() => {
      this.isUp = true;
      handlers.up();
    });
  }

  write(batch: Buffer): void {
    // Of memory that it shares with others all would be copied.
    this.#channel.postMessage(Uint8Array.from(batch));
  }

  close(): Promise<void> {
    this.#channel.close();
    return Promise.resolve();
  }
}
