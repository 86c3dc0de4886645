import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually, temporaryFolder } from '../support/command.ts';
import { startEngine } from '../support/fleet-under-test.ts';
import { opening, predicted, say, sleep } from './conversation.ts';
import { startNetwork, whyNoNetwork, type Machine } from './network.ts';
import { startRedis, startReplica, together, type Replica } from './replicas.ts';

const skip = await whyNoNetwork();
const partings: [name: string, part: (machine: Machine, redisPort: number) => Promise<void>][] = [
  ['what it sends to Redis is lost', (machine, port) => machine.lose('sent', port)],
  ['what Redis sends to it is lost', (machine, port) => machine.lose('received', port)],
  ['its machine is cut off', (machine) => machine.unplug()],
];

for (const [name, part] of partings) {
  test(`a replica on a machine of its own, and ${name}: no request fails, and it comes back`, { skip }, async (t) => {
    const network = await startNetwork(t);
    const redis = await startRedis(t, undefined, network.host);
    const engines = await Promise.all([0, 1].map(() => startEngine(t, { host: network.host })));
    const urls = engines.map(({ port }) => `http://${network.host}:${port}`);
    const key = join(temporaryFolder(t), 'key');
    writeFileSync(key, 'the same for all of them');
    const machines = [await network.addMachine(), await network.addMachine(), await network.addMachine()];
    const replicas = await Promise.all(
      machines.map((place, at) => startReplica(t, `r${at}`, urls, redis.url, ['--session-key-file', key], place)),
    );
    await together(replicas);
    const [first, , parted] = replicas as [Replica, Replica, Replica];
    const isReached = name !== 'its machine is cut off';
    const reached = isReached ? replicas : replicas.slice(0, 2);

    let isOver = false;
    let asked = 0;
    const load = Promise.all(
      [0, 1, 2, 3].map(async (client) => {
        while (!isOver) await say(reached[(client + asked++) % reached.length]!, `${opening(client)} Turn ${asked}.`);
      }),
    );
    await part(machines[2]!, redis.port);
    await eventually('the others notice', 10_000, async () =>
      (await first.sharing()).peers.length === 1 ? true : null,
    );
    if (isReached) {
      await eventually('so does it', 10_000, async () => ((await parted.sharing()).up ? null : true));
      await say(parted, opening(20));
    }
    await say(first, opening(21));
    // Longer than TCP would wait before it tried again, had nobody hung up.
    await sleep(4000);
    await machines[2]!.mend();
    const mendedMs = performance.now();
    await together(replicas);
    assert.ok(performance.now() - mendedMs < 10_000, 'together again in time');
    isOver = true;
    await load;
    assert.ok(asked >= 20, `${asked} requests, none of which failed`);
    await eventually('what either side sent meanwhile is known to the other', 5000, async () =>
      (await predicted(parted, `${opening(21)} And on.`)) > 1000 &&
      (!isReached || (await predicted(first, `${opening(20)} And on.`)) > 1000)
        ? true
        : null,
    );
  });
}
