import { Socket, type OnReadOpts } from 'node:net';

/** Sockets are read one after the other, so all of them can be read into one buffer: a read costs no memory. */
const buffer = Buffer.allocUnsafeSlow(64 * 1024);

/** Has a socket read into it. What `take` is given is there only until it returns. */
export function readingInto(take: (bytes: Buffer) => void): OnReadOpts {
  return {
    buffer,
    callback(count) {
      take(buffer.subarray(0, count));
      return true;
    },
  };
}

/**
 * A connection that a server has accepted, as a socket that reads like this. A server makes its sockets itself and asks
 * nobody how they read, so the connection goes over into another one, as Node does where it hands one to another process.
 */
export function acceptedReading(accepted: Socket, take: (bytes: Buffer) => void): Socket {
  const from = accepted as unknown as { _handle: object | null };
  const handle = from._handle;
  from._handle = null;
  accepted.destroy();
  const socket = new Socket({ handle, onread: readingInto(take) } as ConstructorParameters<typeof Socket>[0]);
  socket.resume();
  return socket;
}
