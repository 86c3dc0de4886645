import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { EndpointJson, KeysJson } from '../../src/admin/json.ts';
import { hashOf, newKey } from '../../src/keys/secret.ts';
import { eventually, temporaryFolder } from '../support/command.ts';
import { model, postJson, startEngine } from '../support/fleet-under-test.ts';
import { opening, predicted, say, sleep } from './conversation.ts';
import { startCuttable, startRedis, startReplica, together, type Replica } from './replicas.ts';

const engines = (t: Parameters<typeof startEngine>[0], count: number) =>
  Promise.all(Array.from({ length: count }, () => startEngine(t))).then((all) => all.map(({ url }) => url));

test('three replicas know what each has sent where, decide alike, and tell a newcomer', async (t) => {
  const redis = await startRedis(t);
  const urls = await engines(t, 4);
  const replicas = await Promise.all(['a', 'b'].map((name) => startReplica(t, name, urls, redis.url)));
  await together(replicas);
  const homes = new Map<number, string>();
  const sessions = Array.from({ length: 24 }, (_, session) => session);
  const turn = async (session: number, at: number): Promise<void> => {
    const { endpoint } = await say(replicas[(session + at) % replicas.length]!, `${opening(session)} Turn ${at}.`);
    if (at === 0) homes.set(session, endpoint);
    else if (endpoint === homes.get(session)) stayed += 1;
  };
  let stayed = 0;
  for (const at of [0, 1, 2]) {
    for (const session of sessions) await turn(session, at);
    await sleep(100);
  }

  // One may find its home busy with another and be better off elsewhere.
  assert.ok(
    stayed >= 0.9 * 2 * sessions.length,
    `${stayed} of ${2 * sessions.length} turns went where their session is`,
  );

  const startedMs = performance.now();
  const newcomer = await startReplica(t, 'c', urls, redis.url);
  await together([...replicas, newcomer]);
  const knownMs = performance.now();
  replicas.push(newcomer);
  await sleep(2000 - Math.min(1500, knownMs - startedMs));
  let alike = 0;
  for (const session of sessions) {
    const { endpoint } = await say(newcomer, `${opening(session)} Asked of the new one.`);
    if (endpoint === homes.get(session)) alike += 1;
  }
  assert.ok(alike >= 0.9 * sessions.length, `the newcomer picks like the others for ${alike} of ${sessions.length}`);

  // Many at once, so that what is on its way counts as well.
  for (let round = 0; round < 10; round++) {
    await Promise.all(
      sessions.map((session) => say(replicas[(session + round) % 3]!, `${opening(session)} Round ${round}.`)),
    );
  }
  const compared = await Promise.all(replicas.map(async (each) => (await each.sharing()).agreement));
  const sum = (what: 'compared' | 'agreed'): number => compared.reduce((total, each) => total + each[what], 0);
  assert.ok(
    compared.every((each) => each.compared >= 3) && sum('agreed') >= 0.8 * sum('compared'),
    JSON.stringify(compared),
  );
  const metrics = await (await fetch(`${newcomer.adminUrl}/metrics`)).text();
  assert.match(metrics, /^signalbox_sharing_peers 2$/m);
  assert.match(metrics, /^signalbox_sharing_agreement_ratio [\d.]+$/m);
});

test('what is under way at one replica counts at the others, until it is lost', async (t) => {
  const redis = await startRedis(t);
  const [url] = [(await startEngine(t, { timeScale: 1 })).url];
  const replicas = await Promise.all(['a', 'b', 'c'].map((name) => startReplica(t, name, [url], redis.url)));
  await together(replicas);
  const [first, second, third] = replicas as [Replica, Replica, Replica];
  const inFlight = async (replica: Replica): Promise<number> =>
    ((await (await fetch(`${replica.adminUrl}/api/endpoints`)).json()) as EndpointJson[])[0]!.inFlight;
  const body = { model, prompt: 'x', max_tokens: 100_000, stream: true, ignore_eos: true };
  const streams = await Promise.all([first, first, second].map((each) => postJson(`${each.url}/v1/completions`, body)));
  await eventually('all see three', 5000, async () =>
    (await Promise.all(replicas.map(inFlight))).every((count) => count === 3) ? true : null,
  );
  await streams[2]!.body!.cancel();
  await eventually('one has left', 5000, async () => ((await inFlight(third)) === 2 ? true : null));
  const killedMs = performance.now();
  await first.kill();
  // Its clients come again, to others.
  await say(second, 'Now here');
  await eventually('a lost replica has nothing under way', 5000, async () =>
    (await inFlight(third)) === 0 && (await third.sharing()).peers.length === 1 ? true : null,
  );
  assert.ok(performance.now() - killedMs < 5000);
});

test('a replica is killed under load: what its clients send next is answered by others', async (t) => {
  const redis = await startRedis(t);
  const urls = await engines(t, 2);
  const replicas = await Promise.all(['a', 'b', 'c'].map((name) => startReplica(t, name, urls, redis.url)));
  await together(replicas);
  const [first, second, third] = replicas as [Replica, Replica, Replica];
  let isOver = false;
  let answered = 0;
  const broken: Replica[] = [];
  const clients = Promise.all(
    Array.from({ length: 6 }, async (_, client) => {
      for (let turn = 0; !isOver; turn++) {
        const replica = replicas[(client + turn) % 3]!;
        const prompt = `${opening(client)} Turn ${turn}.`;
        try {
          await say(replica, prompt);
        } catch (error) {
          if (!(error instanceof TypeError)) throw error;
          // No answer at all: it is sent again, over a new connection, to the next.
          broken.push(replica);
          await say(replicas[(client + turn + 1) % 3]!, prompt);
        }
        answered += 1;
      }
    }),
  );
  await sleep(500);
  await first.kill();
  const before = answered;
  await eventually('the others know that it has gone', 5000, async () =>
    (await second.sharing()).peers.length === 1 && (await third.sharing()).peers.length === 1 ? true : null,
  );
  await eventually('all go on', 10_000, () => Promise.resolve(answered > before + 12 ? true : null));
  isOver = true;
  await clients;
  assert.ok(broken.length > 0 && broken.every((each) => each === first));
});

test('without Redis each goes on alone and says so, no request fails, and afterwards they know all', async (t) => {
  const redis = await startRedis(t);
  const urls = await engines(t, 3);
  const replicas = await Promise.all(['a', 'b'].map((name) => startReplica(t, name, urls, redis.url)));
  await together(replicas);
  const [first, second] = replicas as [Replica, Replica];
  let isOver = false;
  let asked = 0;
  const load = Promise.all(
    [0, 1, 2, 3].map(async (client) => {
      while (!isOver) {
        await say(replicas[client % 2]!, `${opening(client)} Turn ${asked}.`);
        asked += 1;
      }
    }),
  );
  await sleep(500);
  await redis.end();
  await eventually('both are alone', 5000, async () =>
    (await Promise.all(replicas.map((each) => each.sharing()))).every(({ up }) => !up) ? true : null,
  );
  await eventually('both say so', 5000, () =>
    Promise.resolve(replicas.every((each) => each.log().includes('alone: what other replicas know')) ? true : null),
  );
  const alone = await Promise.all([40, 41, 42].map((session) => say(first, opening(session))));
  await startRedis(t, redis.port);
  await together(replicas);
  await sleep(500);
  isOver = true;
  await load;
  assert.ok(asked >= 8, `${asked} requests`);
  for (const [at, session] of [40, 41, 42].entries()) {
    const { endpoint } = await say(second, `${opening(session)} And on.`);
    assert.equal(endpoint, alone[at]!.endpoint, 'what was learned alone is told afterwards');
  }
});

test('a replica that is cut off from Redis goes on alone, and comes back with what it learned', async (t) => {
  const redis = await startRedis(t);
  const way = await startCuttable(t, redis.port);
  const urls = await engines(t, 2);
  const key = join(temporaryFolder(t), 'key');
  writeFileSync(key, 'the same for all of them');
  const start = (name: string, url: string): Promise<Replica> =>
    startReplica(t, name, urls, url, ['--session-key-file', key]);
  const replicas = [await start('a', redis.url), await start('b', redis.url), await start('cut', way.url)];
  await together(replicas);
  way.cut();
  const [first, , cut] = replicas as [Replica, Replica, Replica];
  await eventually('it notices that nothing passes', 10_000, async () => ((await cut.sharing()).up ? null : true));
  await eventually('so do the others', 10_000, async () => ((await first.sharing()).peers.length === 1 ? true : null));
  const sessions = [7, 8, 9, 10];
  for (const session of sessions) await say(session % 2 === 0 ? cut : first, opening(session));
  way.mend();
  await together(replicas);
  for (const replica of replicas) {
    const { up, problem } = await replica.sharing();
    assert.deepEqual({ up, problem }, { up: true, problem: null });
  }
  await eventually('what either side sent meanwhile is known to the other', 5000, async () => {
    const known = await Promise.all(
      sessions.map((session) => predicted(session % 2 === 0 ? first : cut, `${opening(session)} And on.`)),
    );
    return known.every((tokens) => tokens > 1000) ? true : null;
  });
});

test('replicas whose hashes start from different secrets say so', async (t) => {
  const redis = await startRedis(t);
  const way = await startCuttable(t, redis.port);
  const urls = await engines(t, 1);
  const replicas = [await startReplica(t, 'a', urls, redis.url), await startReplica(t, 'b', urls, way.url)];
  await together(replicas);
  for (const replica of replicas) {
    assert.match((await replica.sharing()).problem!, /^[ab]-\w+: which prompts .* the same --session-key-file/);
    assert.match(replica.log(), /give all replicas the same --session-key-file/);
  }
});

test('limits of keys hold for all replicas together, to 2 %', async (t) => {
  const redis = await startRedis(t);
  const urls = await engines(t, 1);
  const file = join(temporaryFolder(t), 'keys.json');
  const [many, few, single] = [newKey(), newKey(), newKey()];
  const keys = [
    { name: 'many', hash: hashOf(many), requestsPerMinute: 600 },
    { name: 'few', hash: hashOf(few), requestsPerMinute: 4 },
    { name: 'single', hash: hashOf(single), maxConcurrent: 6 },
  ];
  writeFileSync(file, JSON.stringify({ keys }));
  const replicas = await Promise.all(
    ['a', 'b', 'c'].map((name) => startReplica(t, name, urls, redis.url, ['--keys-file', file])),
  );
  await together(replicas);
  const statusOf = async (key: string, at: number, body: object = {}): Promise<number> => {
    const headers = { authorization: `Bearer ${key}` };
    const all = { model, prompt: 'x', max_tokens: 1, ...body };
    const answer = await postJson(`${replicas[at % 3]!.url}/v1/completions`, all, { headers });
    if (answer.status !== 200 || !('stream' in body)) await answer.arrayBuffer();
    return answer.status;
  };
  // One replica gets half of it, as load balancers do.
  let admitted = 0;
  const startedMs = performance.now();
  for (let sent = 0; sent < 900; sent += 15) {
    const batch = Array.from({ length: 15 }, (_, at) => statusOf(many, at % 2 === 0 ? 0 : 1 + ((sent + at) % 2)));
    admitted += (await Promise.all(batch)).filter((status) => status === 200).length;
    await sleep(Math.max(0, 100 * (sent / 15 + 1) - (performance.now() - startedMs)));
  }
  assert.ok(performance.now() - startedMs < 50_000, 'within one minute');
  assert.ok(admitted <= 612 && admitted >= 588, `${admitted} of 600 were let through`);

  let small = 0;
  for (let sent = 0; sent < 60; sent++) {
    if ((await statusOf(few, sent)) === 200) small += 1;
    await sleep(60);
  }
  assert.equal(small, 4);

  const long = { max_tokens: 100_000, stream: true, ignore_eos: true };
  const held = await Promise.all(
    Array.from({ length: 6 }, async (_, at) => {
      let status = await statusOf(single, at, long);
      while (status === 429) {
        await sleep(50);
        status = await statusOf(single, at, long);
      }
      return status;
    }),
  );
  assert.deepEqual(held, [200, 200, 200, 200, 200, 200]);
  await sleep(200);
  for (const at of [0, 1, 2]) assert.equal(await statusOf(single, at), 429);
  const shown = (await (await fetch(`${replicas[0]!.adminUrl}/api/keys`)).json()) as KeysJson;
  assert.equal(shown.keys.find(({ name }) => name === 'single')!.now.inFlight, 6);
});
