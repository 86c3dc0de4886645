/**
 * Loaded into a gateway's process by `--import`: counts what it writes to sockets, what it copies, reads that take memory of
 * their own and what it takes of the heap and keeps of it, and tells whoever connects. For the last one its young generation has to be so
 * large that nothing is collected.
 */
import { createServer, Socket, type AddressInfo } from 'node:net';

const counts = { writes: 0, copiedBytes: 0, ownReads: 0, heapBytes: 0, keptBytes: 0 };
let heapBefore = process.memoryUsage().heapUsed;

const socket = Socket.prototype as unknown as Record<'_writeGeneric' | 'push', (...values: unknown[]) => unknown>;
const write = socket._writeGeneric;
socket._writeGeneric = function (...values) {
  counts.writes++;
  return write.apply(this, values);
};
// A socket that reads into a buffer of its user's gives nothing to its stream.
const push = socket.push;
socket.push = function (...values) {
  if (values[0] !== null) counts.ownReads++;
  return push.apply(this, values);
};
const bytes = Uint8Array.prototype;
const set = bytes.set;
bytes.set = function (source, offset) {
  counts.copiedBytes += source.length;
  set.call(this, source, offset);
};
const concat = Buffer.concat.bind(Buffer);
Buffer.concat = (list, length) => {
  const whole = concat(list, length);
  counts.copiedBytes += whole.length;
  return whole;
};

const server = createServer((connection) => {
  counts.heapBytes = process.memoryUsage().heapUsed - heapBefore;
  // What has outlived two of these goes to where only the whole heap's collection finds it.
  for (let times = 0; times < 2; times++) globalThis.gc?.({ type: 'minor' });
  counts.keptBytes = process.memoryUsage().heapUsed - heapBefore;
  connection.end(JSON.stringify(counts));
  Object.assign(counts, { writes: 0, copiedBytes: 0, ownReads: 0 });
  globalThis.gc?.();
  heapBefore = process.memoryUsage().heapUsed;
});
server.listen(0, '127.0.0.1', () => process.stderr.write(`counts at ${(server.address() as AddressInfo).port}\n`));
server.unref();
