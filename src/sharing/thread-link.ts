import { BroadcastChannel } from 'node:worker_threads';
import type { Link, LinkHandlers } from './link.ts';

interface Message {
  readonly text: string;
  readonly blocks: Uint8Array;
}

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
      const { text, blocks } = (event as { readonly data: Message }).data;
      handlers.read(text, Buffer.from(blocks));
    };
    queueMicrotask(() => {
      this.isUp = true;
      handlers.up();
    });
  }

  write(text: string, blocks: Buffer): void {
    const message: Message = { text, blocks };
    this.#channel.postMessage(message);
  }

  touch(): void {
    // Nobody forgets it while a thread is there.
  }

  close(): Promise<void> {
    this.#channel.close();
    return Promise.resolve();
  }
}
