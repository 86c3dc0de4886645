import type { IncomingMessage, ServerResponse } from 'node:http';
import type { SignalboxError } from '../base/errors.ts';
import { BodyPieces } from './body-pieces.ts';
import { bodyTooLarge, noRoomForBody, unsizedTooLarge, type BodyLimits } from './body-room.ts';

/** How much may come of a body that does not say its length, before it is known to be too large. */
export const largestUnsizedBytes = 8 * 1024 * 1024;

/**
 * Collects a request's body once. Exactly one of the callbacks is called, unless the client leaves first.
 * A body over the limit is refused at once, before it is read where it says its length; what still comes of it is thrown
 * away by whoever sends the error.
 */
export function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  { limitBytes, room }: BodyLimits,
  done: (body: Buffer) => void,
  refused: (error: SignalboxError) => void,
): void {
  const declared = request.headers['content-length'];
  if (Number(declared ?? 0) > limitBytes) {
    refused(bodyTooLarge(limitBytes));
    return;
  }
  // Whoever asks first is told to go on only now (RFC 9110 section 10.1.1).
  if (request.headers.expect?.toLowerCase() === '100-continue') response.writeContinue();
  const mostBytes = declared === undefined ? Math.min(limitBytes, largestUnsizedBytes) : limitBytes;
  const part = room.part();
  response.once('close', part.free);
  const pieces = new BodyPieces();
  const refuse = (error: SignalboxError): void => {
    request.off('data', onData).off('end', onEnd);
    pieces.clear();
    part.free();
    refused(error);
  };
  const onData = (piece: Buffer): void => {
    if (pieces.bytes + piece.length > mostBytes)
      refuse(declared === undefined ? unsizedTooLarge(mostBytes) : bodyTooLarge(mostBytes));
    else if (!part.take(piece.length)) refuse(noRoomForBody(room.limitBytes));
    else pieces.push(piece);
  };
  const onEnd = (): void => done(pieces.take());
  request.on('data', onData).on('end', onEnd);
}
