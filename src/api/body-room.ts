import { SignalboxError } from '../base/errors.ts';

/** What one request's body takes of the room. */
export interface BodyPart {
  /** Takes so many bytes more; false, and nothing taken, when the room is full. */
  take(bytes: number): boolean;
  /** Gives back all that was taken; later calls do nothing. */
  free(): void;
}

export interface BodyLimits {
  /** Of one body. */
  readonly limitBytes: number;
  /** For all of them. */
  readonly room: BodyRoom;
}

/** Room in memory for the bodies of all requests together, from their first byte to the end of their answers. */
export class BodyRoom {
  readonly limitBytes: number;
  #bytes = 0;

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  part(): BodyPart {
    let taken = 0;
    return {
      take: (bytes) => {
        if (this.#bytes + bytes > this.limitBytes) return false;
        this.#bytes += bytes;
        taken += bytes;
        return true;
      },
      free: () => {
        this.#bytes -= taken;
        taken = 0;
      },
    };
  }
}

export function bodyTooLarge(limitBytes: number): SignalboxError {
  return new SignalboxError('body_too_large', `The request body is larger than the limit of ${size(limitBytes)}.`);
}

/** A body that does not say its length. */
export function unsizedTooLarge(limitBytes: number): SignalboxError {
  const message = `A request body without a content-length may have ${size(limitBytes)} at most, and this one is larger.`;
  return new SignalboxError('body_too_large', message);
}

export function noRoomForBody(limitBytes: number): SignalboxError {
  const message = `The bodies of all requests together fill the ${size(limitBytes)} of memory that there are for them.`;
  return new SignalboxError('overloaded', message, { retryAfterSeconds: 1 });
}

function size(bytes: number): string {
  return bytes >= 2 ** 20 ? `${Math.floor(bytes / 2 ** 20)} MiB` : `${bytes} bytes`;
}
