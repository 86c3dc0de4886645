/**
 * A replica in a process of its own: `RANK SECONDS [URL]`. Says what CPU it took, in microseconds, and
 * how many requests it had; without a URL it shares with nobody.
 */
import { wallClock } from '../../src/base/clock.ts';
import { ValkeyLink } from '../../src/sharing/link.ts';
import { inOneProcess, perSecond, Replica, replicas } from './sharing-load.ts';

const [rank = 0, seconds = 1] = process.argv.slice(2, 4).map(Number);
const url = process.argv[4];
// Code that runs for hours is compiled.
inOneProcess({ shares: url !== undefined, requests: 10_000 });
const replica = new Replica(
  wallClock,
  rank,
  url === undefined ? null : (handlers) => new ValkeyLink(url, `bench-${process.ppid}`, handlers),
);
const warmUpMs = 3000;
const startedMs = performance.now();
let sent = 0;
let before = process.cpuUsage();
let sentBefore = 0;
// Requests come in bursts of a few, as sockets have them.
const timer = setInterval(() => {
  const due = Math.floor(((performance.now() - startedMs) / 1000) * (perSecond / replicas));
  for (; sent < due; sent++) replica.send(sent * replicas + rank);
}, 5);
setTimeout(() => {
  before = process.cpuUsage();
  sentBefore = sent;
}, warmUpMs);
setTimeout(
  () => {
    const { user, system } = process.cpuUsage(before);
    const { peers = [], agreement, lagMs = NaN, batches = 0 } = replica.sharing ?? {};
    clearInterval(timer);
    const told = { peers: peers.length, agreed: agreement?.recent ?? NaN, lagMs, batches };
    process.send?.({ microseconds: user + system, requests: sent - sentBefore, ...told }, () => process.exit(0));
  },
  warmUpMs + seconds * 1000,
);
