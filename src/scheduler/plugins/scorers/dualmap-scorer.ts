import { z } from 'zod';
import type { Decision } from '../../decision.ts';
import { definePlugin } from '../../plugin.ts';
import type { FleetView } from '../../view.ts';
import { knownOr0 } from './load-release.ts';
import { rendezvousOrder } from './rendezvous.ts';

const parameters = z.strictObject({
  keyTokens: z
    .int()
    .min(1)
    .default(512)
    .describe('length of a key where it is not hot; hot ones are lengthened twofold until they are not'),
  sloTtftSeconds: z
    .number()
    .positive()
    .default(5)
    .describe('predicted TTFT up to which the cache decides between the two'),
});

/** The last keys seen, with how often each. */
interface Keys {
  readonly recent: number[];
  readonly counts: Map<number, number>;
}

const recentKeys = 1000;
/** A key is hot when it alone has more of the recent requests than this many endpoints' shares. */
const hotShares = 2;
/** Turns a key's first candidate into its independent second. */
const secondHash = 0x9e3779b9;

export const dualmapScorer = definePlugin({
  type: 'dualmap-scorer',
  kind: 'scorer',
  unit: 'share',
  summary:
    "Two endpoints by two hashes of the prompt's beginning: the one with more of it cached while its predicted TTFT is in time, else the quicker of the two.",
  source:
    'DualMap (arXiv 2602.06502, ICLR 2026), without migrating queued requests; the key length adapts by the share of recent requests that a key has',
  parameters,
  create: ({ keyTokens, sloTtftSeconds }) => ({
    state: (): Keys => ({ recent: [], counts: new Map() }),
    score(cycle, scores, details, state) {
      const { candidates, view } = cycle;
      const cached = view.cachedTokens();
      const prefillSeconds = view.prefillSeconds();
      const ttft = details.column('predictedTtftSeconds');
      for (let i = 0; i < candidates.length; i++) {
        ttft[i] = view.queuedPrefillSeconds[candidates[i]!]! + prefillSeconds[candidates[i]!]!;
      }
      const keys = keysOf(view, cycle.request.promptTokens, keyTokens, state as Keys, candidates.length);
      details.note('keys', keys.join(' '));
      scores.fill(0);
      const key = keys.at(-1) ?? cycle.random.below(2 ** 32);
      const first = rendezvousOrder(cycle, key)[0];
      const second = rendezvousOrder(cycle, key ^ secondHash).find((i) => i !== first);
      if (first === undefined) return;
      if (second === undefined) {
        scores[first] = 1;
        return;
      }
      const tokens = (i: number): number => knownOr0(cached[candidates[i]!]!);
      const warm = tokens(second) > tokens(first) ? second : first;
      const quick = ttft[second]! < ttft[first]! ? second : first;
      const chosen = tokens(warm) > 0 && ttft[warm]! <= sloTtftSeconds ? warm : quick;
      scores[chosen] = 1;
      scores[chosen === first ? second : first] = 0.5;
    },
    commit(state, { profiles, primaryProfile }: Decision) {
      const { recent, counts } = state as Keys;
      const noted = profiles[primaryProfile]?.scorers.find(({ type }) => type === 'dualmap-scorer')?.notes['keys'];
      if (typeof noted !== 'string' || noted === '') return;
      for (const key of noted.split(' ').map(Number)) {
        recent.push(key);
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
      while (recent.length > recentKeys) {
        const oldest = recent.shift()!;
        const count = counts.get(oldest)! - 1;
        if (count === 0) counts.delete(oldest);
        else counts.set(oldest, count);
      }
    },
  }),
});

/** The request's keys, each twice as long as the one before it, up to the first that is not hot. */
function keysOf(
  view: FleetView,
  promptTokens: number,
  keyTokens: number,
  { recent, counts }: Keys,
  endpoints: number,
): number[] {
  const keys: number[] = [];
  for (let tokens = keyTokens; tokens < 2 * promptTokens; tokens *= 2) {
    const key = view.prefixHash?.(tokens) ?? null;
    if (key === null) break;
    if (key !== keys.at(-1)) keys.push(key);
    const limit = (hotShares * Math.max(recent.length, recentKeys / 10)) / Math.max(1, endpoints);
    if ((counts.get(key) ?? 0) <= limit) break;
  }
  return keys;
}
