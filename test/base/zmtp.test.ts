import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { test } from 'node:test';
import { ZmtpConnection } from '../../src/base/zmtp.ts';

/** Both ends of a connection. */
async function pair(): Promise<{ publisher: ZmtpConnection; subscriber: ZmtpConnection; close: () => void }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const subscriber = new ZmtpConnection(connect((server.address() as AddressInfo).port), 'SUB');
  const publisher = new ZmtpConnection(((await accepted) as [Socket])[0], 'PUB');
  await once(subscriber, 'ready');
  const close = (): void => {
    subscriber.close();
    publisher.close();
    server.close();
  };
  return { publisher, subscriber, close };
}

const busy = (milliseconds: number): void => {
  for (const endMs = performance.now() + milliseconds; performance.now() < endMs;);
};

test('where many messages come at once, others have their turns in between, and nothing is lost or out of order', async () => {
  const ends = await Promise.all([pair(), pair()]);
  const messages = 200;
  const got: number[][] = [[], []];
  let turns = 0;
  let over = false;
  const count = (): void => {
    turns++;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  await Promise.all(
    ends.map(async ({ publisher, subscriber }, which) => {
      const all = new Promise<void>((resolve) =>
        subscriber.on('message', ([frame]) => {
          got[which]!.push(frame!.readUInt32BE(0));
          busy(1);
          // Whoever pauses in the middle goes on where it was.
          if (got[which]!.length === 50) {
            subscriber.pause();
            setTimeout(() => subscriber.resume(), 20);
          }
          if (got[which]!.length === messages) resolve();
        }),
      );
      for (let number = 0; number < messages; number++) {
        const frame = Buffer.alloc(300);
        frame.writeUInt32BE(number, 0);
        publisher.send([frame]);
      }
      await all;
    }),
  );
  over = true;
  const inOrder = Array.from({ length: messages }, (_, number) => number);
  assert.deepEqual(got, [inOrder, inOrder]);
  // A millisecond each, and two or three in a turn.
  assert.ok(turns > messages / 3, `${turns} turns`);
  ends.forEach(({ close }) => close());
});
