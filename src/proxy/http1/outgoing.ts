import type { Socket } from 'node:net';

interface Sender {
  /** Sends what it has put there. */
  flush(): void;
}

const capacityBytes = 128 * 1024;

/**
 * Where what goes out is put together, a piece after the other, to be sent in one write. All connections use the same
 * memory, for nearly always the kernel takes all of it at once; where it does not, the socket keeps that memory.
 */
class Outgoing {
  #bytes = Buffer.allocUnsafeSlow(capacityBytes);
  #length = 0;
  #sender: Sender | null = null;

  /** `sender` puts something there next; what another one has put there is sent before. */
  begin(sender: Sender): void {
    if (this.#sender === sender) return;
    this.#sender?.flush();
    this.#sender = sender;
    this.#length = 0;
  }

  /** How much is there of whoever began last. */
  get length(): number {
    return this.#length;
  }

  /** Puts text there, of which no character is above U+00FF, and which is short. */
  text(text: string, socket: Socket): void {
    if (this.#length + text.length > capacityBytes) this.sendTo(socket);
    this.#length += this.#bytes.write(text, this.#length, 'latin1');
  }

  bytes(bytes: Uint8Array, socket: Socket): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#length === capacityBytes) this.sendTo(socket);
      const end = Math.min(bytes.length, at + capacityBytes - this.#length);
      this.#bytes.set(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end), this.#length);
      this.#length += end - at;
      at = end;
    }
  }

  /** Sends what is there; false when the socket asks to wait. */
  sendTo(socket: Socket): boolean {
    if (this.#length === 0) return true;
    const isTaken = socket.write(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    if (socket.writableLength > 0) this.#bytes = Buffer.allocUnsafeSlow(capacityBytes);
    return isTaken;
  }

  /** `sender` has no more to send, and what it has put there is not wanted. */
  drop(sender: Sender): void {
    if (this.#sender !== sender) return;
    this.#sender = null;
    this.#length = 0;
  }
}

/** The process's only one. */
export const outgoing = new Outgoing();
