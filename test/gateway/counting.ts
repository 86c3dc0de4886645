/**
 * Loaded into a gateway's process by `--import`: counts what it writes to sockets, what it copies and what it takes of the
 * heap, and tells whoever connects. For the last one its young generation has to be so large that nothing is collected.
 */
import { createServer, Socket, type AddressInfo } from 'node:net';

const counts = { writes: 0, copiedBytes: 0, heapBytes: 0 };
let heapBefore = process.memoryUsage().heapUsed;

const generic = Socket.prototype as unknown as Record<'_writeGeneric', (...values: unknown[]) => unknown>;
const write = generic._writeGeneric;
generic._writeGeneric = function (...values) {
  counts.writes++;
  return write.apply(this, values);
};
const concat = Buffer.concat.bind(Buffer);
Buffer.concat = (list, length) => {
  const whole = concat(list, length);
  counts.copiedBytes += whole.length;
  return whole;
};

const server = createServer((socket) => {
  counts.heapBytes = process.memoryUsage().heapUsed - heapBefore;
  socket.end(JSON.stringify(counts));
  counts.writes = 0;
  counts.copiedBytes = 0;
  globalThis.gc?.();
  heapBefore = process.memoryUsage().heapUsed;
});
server.listen(0, '127.0.0.1', () => process.stderr.write(`counts at ${(server.address() as AddressInfo).port}\n`));
server.unref();
