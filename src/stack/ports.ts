import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { SignalboxError } from '../base/errors.ts';

/** Below the range from which kernels give ports to outgoing connections, so that a restart finds its port free. */
const lowest = 18000;
const highest = 32000;

/** `count` different ports on which nothing listens on the loopback address. */
export async function freePorts(count: number): Promise<number[]> {
  const held: Server[] = [];
  const ports: number[] = [];
  try {
    for (let tries = 0; ports.length < count; tries++) {
      if (tries > 200 + count) throw new SignalboxError('environment', `no ${count} free ports on 127.0.0.1`);
      const port = randomInt(lowest, highest);
      try {
        held.push(await listen('127.0.0.1', port));
        ports.push(port);
      } catch {
        // Taken: draw again.
      }
    }
  } finally {
    await Promise.all(held.map(close));
  }
  return ports;
}

/** Throws `environment`, naming the flag to change, unless `host:port` can be listened on. */
export async function expectFree(host: string, port: number, flag: string): Promise<void> {
  try {
    await close(await listen(host, port));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const reason =
      code === 'EADDRINUSE'
        ? `port ${port} on ${host} is taken by another program; choose another with ${flag} N`
        : code === 'EACCES'
          ? `port ${port} needs more rights than you have; choose one above 1023 with ${flag} N`
          : `cannot listen on ${host}:${port} (${code}); choose an address of this machine with --host`;
    throw new SignalboxError('environment', reason);
  }
}

/** A plain bind: with `reusePort` a port that is in use would silently be shared. */
async function listen(host: string, port: number): Promise<Server> {
  const server = createServer();
  server.listen({ host, port, exclusive: true });
  await once(server, 'listening');
  return server;
}

async function close(server: Server): Promise<void> {
  server.close();
  await once(server, 'close');
}
