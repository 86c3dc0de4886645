import type { BodyLimits } from '../api/body-room.ts';
import type { SignalboxError } from '../base/errors.ts';

/** By lower-case names; a header that came several times is joined, or a list, as node:http has it. */
export type RequestHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** The client's end of a request: where its answer goes. */
export interface ClientResponse {
  readonly headersSent: boolean;
  /** The client has gone, or its connection was cut. */
  readonly destroyed: boolean;
  writeHead(status: number, headers: Readonly<Record<string, string | string[] | number>>): void;
  /** False: it takes no more for now, until `onceDrained`. The bytes are whoever's who gave them, once this returns. */
  write(bytes: Buffer): boolean;
  onceDrained(step: () => void): void;
  /** A client that is still sending its request may go on for a while, so that it gets to read this. */
  end(bytes?: Buffer | string): void;
  /** Breaks the connection off, where the head has promised more than comes. */
  destroy(): void;
  /** The client has gone before its answer was written. */
  onceLeft(step: () => void): void;
}

/** A request and the answer to it, as a front door has them, whoever reads the bytes. */
export interface Exchange extends ClientResponse {
  readonly method: string;
  /** Path with its query. */
  readonly target: string;
  readonly headers: RequestHeaders;
  /**
   * Collects the body once. Exactly one of the callbacks is called, unless the client leaves first. A body over the limit,
   * or for which there is no room, is refused at once; what still comes of it is thrown away. Its room is given back
   * when the exchange is over.
   */
  readBody(limits: BodyLimits, done: (body: Buffer) => void, refused: (error: SignalboxError) => void): void;
  /** Nobody reads the body any more: its memory may be another's. */
  recycleBody(): void;
}
