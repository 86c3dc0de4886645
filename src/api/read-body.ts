import type { IncomingMessage } from 'node:http';
import { SignalboxError } from '../base/errors.ts';

/** How long a client whose body was refused may go on sending before its connection is cut. */
const lingerMs = 2000;

/**
 * Collects a request's body once. Exactly one of the callbacks is called, unless the client leaves first.
 * A body over `limitBytes` is refused at once; what still comes of it is thrown away.
 */
export function readBody(
  request: IncomingMessage,
  limitBytes: number,
  done: (body: Buffer) => void,
  refused: (error: SignalboxError) => void,
): void {
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > limitBytes) {
    discard(request);
    refused(tooLarge(limitBytes));
    return;
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  const onData = (chunk: Buffer): void => {
    bytes += chunk.length;
    if (bytes > limitBytes) {
      request.off('data', onData).off('end', onEnd);
      chunks.length = 0;
      discard(request);
      refused(tooLarge(limitBytes));
      return;
    }
    chunks.push(chunk);
  };
  const onEnd = (): void => done(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes));
  request.on('data', onData).on('end', onEnd);
}

function tooLarge(limitBytes: number): SignalboxError {
  const limit = limitBytes >= 2 ** 20 ? `${Math.floor(limitBytes / 2 ** 20)} MiB` : `${limitBytes} bytes`;
  return new SignalboxError('body_too_large', `The request body is larger than the limit of ${limit}.`);
}

/**
 * Throws away what still comes. Cutting the connection at once would reset it before the client has read the answer;
 * one that has sent everything in time keeps its connection.
 */
function discard(request: IncomingMessage): void {
  request.resume();
  const cut = setTimeout(() => request.socket.destroy(), lingerMs);
  cut.unref();
  request.once('close', () => clearTimeout(cut));
}
