/** Loaded into a gateway's process by `--import`: counts what it writes to sockets and what it copies, and tells whoever connects. */
import { createServer, Socket, type AddressInfo } from 'node:net';

const counts = { writes: 0, copiedBytes: 0 };

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
  socket.end(JSON.stringify(counts));
  counts.writes = 0;
  counts.copiedBytes = 0;
});
server.listen(0, '127.0.0.1', () => process.stderr.write(`counts at ${(server.address() as AddressInfo).port}\n`));
server.unref();
