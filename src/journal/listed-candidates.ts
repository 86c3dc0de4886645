import { nameText } from '../base/json-text.ts';
import type { Candidate, Decision } from '../scheduler/decision.ts';

/** Above this many candidates only the best are written out, and the rest counted. */
const listLimit = 64;
const bestListed = 16;

/** The candidates of a Decision that are written out, with what is the same in every Decision over them. */
export interface Listed {
  /** Indexes into `Decision.candidates`. */
  readonly indexes: readonly number[];
  /** Whether that is every one. */
  readonly isAll: boolean;
  has(index: number): boolean;
  /** Names as keys of a JSON object, by index. */
  readonly keys: readonly string[];
  /** Names, quoted, by index. */
  readonly names: readonly string[];
  /** The JSON array of all names. */
  readonly allNames: string;
  /** The JSON array of those listed, with their addresses. */
  readonly addresses: string;
}

/** All candidates, or of very many those with the best totals, the ones picked first. */
export function listedCandidates(decision: Decision): Listed {
  const { candidates } = decision;
  const all = listOf(candidates);
  if (candidates.length <= listLimit) return all;
  const indexes = bestOf(decision);
  const set = new Set(indexes);
  const addresses = addressesOf(candidates.filter((_, index) => set.has(index)));
  return { ...all, indexes, isAll: false, has: (index) => set.has(index), addresses };
}

/** By the list of candidates, which stays the same one until the fleet changes. */
const lists = new WeakMap<readonly Candidate[], Listed>();

function listOf(candidates: readonly Candidate[]): Listed {
  let list = lists.get(candidates);
  if (list === undefined) {
    const names = candidates.map(({ endpoint }) => nameText(endpoint));
    list = {
      indexes: candidates.map((_, index) => index),
      isAll: true,
      has: () => true,
      keys: names.map((name) => `${name}:`),
      names,
      allNames: `[${names.join()}]`,
      addresses: candidates.length > listLimit ? '' : addressesOf(candidates),
    };
    lists.set(candidates, list);
  }
  return list;
}

function addressesOf(candidates: readonly Candidate[]): string {
  return JSON.stringify(candidates.map(({ endpoint, address }) => ({ endpoint, address })));
}

function bestOf({ candidates, profiles, primaryProfile, disaggregation, picked }: Decision): number[] {
  const profile = profiles[primaryProfile];
  if (profile === undefined || profile.scored.length === 0) return Array.from(candidates.keys()).slice(0, bestListed);
  const sign = profile.scorers[0]?.unit === 'seconds' ? 1 : -1;
  const prefill = disaggregation?.prefill ?? -1;
  const isChosen = (index: number): number => Number(index === picked || index === prefill);
  const listed = Array.from(profile.scored, (index, i) => ({ index, rank: sign * profile.totals[i]! }))
    .sort((a, b) => isChosen(b.index) - isChosen(a.index) || a.rank - b.rank)
    .slice(0, bestListed)
    .map(({ index }) => index);
  return prefill < 0 || listed.includes(prefill) ? listed : [...listed, prefill];
}
