import type {
  AdmissionJson,
  EndpointJson,
  EndpointTotalsJson,
  KeysJson,
  PoolColumn,
  EndpointColumn,
  PrefixesJson,
  SeriesJson,
  ShadowJson,
  ShadowMeansJson,
} from './json.ts';

/*
 * What the threads of one process say, as one answer. The first one, which watches the endpoints, comes first: it knows
 * of all requests on their way, so that of levels its word is taken, and of what each counts by itself the sum.
 */

type Counts = Record<string, number>;

/** Listed at most, as by one thread. */
const listed = 100;

export function mergedEndpoints(own: EndpointJson[], others: readonly EndpointJson[][]): EndpointJson[] {
  return own.map((endpoint) => {
    const same = others.flatMap((each) => each.find(({ name }) => name === endpoint.name) ?? []);
    return {
      ...endpoint,
      speed: meanOfKnown([endpoint, ...same].map(({ speed }) => speed)),
      secondsPerOutputToken: meanOfKnown([endpoint, ...same].map((each) => each.secondsPerOutputToken)),
      totals: same.reduce((sum, { totals }) => sumOf(sum, totals), endpoint.totals),
    };
  });
}

/** Newest first, as they were numbered. */
export function mergedDecisions<Made extends { readonly id: string }>(
  all: readonly Made[],
  limit: number,
  oldestFirst: boolean,
): Made[] {
  const direction = oldestFirst ? 1 : -1;
  return all.toSorted((left, right) => direction * (numberOf(left) - numberOf(right))).slice(0, limit);
}

function numberOf({ id }: { readonly id: string }): number {
  return parseInt(id.slice(id.lastIndexOf('-') + 1), 36);
}

export function mergedAdmission(own: AdmissionJson, others: readonly AdmissionJson[]): AdmissionJson {
  const all = [own, ...others];
  const bands = new Map<number, AdmissionJson['bands'][number]>();
  for (const band of all.flatMap((each) => each.bands)) {
    const known = bands.get(band.priority);
    if (known === undefined) {
      bands.set(band.priority, band);
      continue;
    }
    const tenants = new Map(known.tenants.map((tenant) => [tenant.fairnessId, tenant]));
    for (const tenant of band.tenants) {
      const { held = 0 } = tenants.get(tenant.fairnessId) ?? {};
      tenants.set(tenant.fairnessId, { ...tenant, held: held + tenant.held });
    }
    bands.set(band.priority, {
      ...known,
      held: known.held + band.held,
      heldBytes: known.heldBytes + band.heldBytes,
      prefillSeconds: known.prefillSeconds + band.prefillSeconds,
      tenants: [...tenants.values()].slice(0, listed),
    });
  }
  const totals = all.map((each) => each.totals);
  return {
    ...own,
    held: sum(all.map(({ held }) => held)),
    heldBytes: sum(all.map(({ heldBytes }) => heldBytes)),
    desiredReplicas: Math.max(...all.map(({ desiredReplicas }) => desiredReplicas)),
    bands: [...bands.values()].sort((left, right) => right.priority - left.priority),
    queue: all
      .flatMap(({ queue }) => queue)
      .sort((left, right) => right.priority - left.priority || right.heldSeconds - left.heldSeconds)
      .slice(0, listed),
    totals: {
      placed: sum(totals.map(({ placed }) => placed)),
      held: sum(totals.map(({ held }) => held)),
      left: sum(totals.map(({ left }) => left)),
      takenBack: sum(totals.map(({ takenBack }) => takenBack)),
      shed: totals.reduce<Counts>((counts, { shed }) => sumOf(counts, shed), {}),
      refused: totals.reduce<Counts>((counts, { refused }) => sumOf(counts, refused), {}),
    },
  };
}

/** At most `limit`, those used last. */
export function mergedKeys(own: KeysJson, others: readonly KeysJson[], limit: number): KeysJson {
  const keys = new Map(own.keys.map((key) => [key.name, key]));
  for (const key of others.flatMap((each) => each.keys)) {
    const known = keys.get(key.name);
    if (known === undefined) {
      keys.set(key.name, key);
      continue;
    }
    const { refused: theirs, ...counts } = key.totals;
    const { refused, ...ours } = known.totals;
    keys.set(key.name, {
      ...known,
      totals: { ...sumOf(ours, counts), refused: sumOf(refused, theirs) },
      lastUsed: [known.lastUsed ?? '', key.lastUsed ?? ''].sort().at(-1) || null,
    });
  }
  const all = [...keys.values()];
  if (all.length <= limit) return { ...own, count: all.length, keys: all };
  const latest = all.sort((left, right) => (right.lastUsed ?? '').localeCompare(left.lastUsed ?? ''));
  return { ...own, count: keys.size, keys: latest.slice(0, Math.max(0, Math.floor(limit))) };
}

export function mergedShadow(own: ShadowJson, others: readonly ShadowJson[]): ShadowJson {
  const policies = own.policies.map((policy) => {
    const same = others.flatMap((each) => each.policies.find(({ hash }) => hash === policy.hash) ?? []);
    const all = [policy, ...same];
    const picks: typeof policy.picks = {};
    for (const [name, { live, shadow }] of all.flatMap((each) => Object.entries(each.picks))) {
      const known = picks[name] ?? { live: 0, shadow: 0 };
      picks[name] = { live: known.live + live, shadow: known.shadow + shadow };
    }
    const disagreements = all.flatMap((each) => each.disagreements);
    const difference = ({ live, shadow }: (typeof disagreements)[number]): number =>
      Math.abs((live.ttftSeconds ?? 0) - (shadow.ttftSeconds ?? 0));
    return {
      ...policy,
      compared: sum(all.map(({ compared }) => compared)),
      agreed: sum(all.map(({ agreed }) => agreed)),
      skipped: all.map(({ skipped }) => skipped).reduce((left, right) => sumOf(left, right)),
      ttftSeconds: mergedMeans(all.map(({ ttftSeconds }) => ttftSeconds)),
      cachedTokens: mergedMeans(all.map(({ cachedTokens }) => cachedTokens)),
      picks,
      disagreements: disagreements
        .sort((left, right) => difference(right) - difference(left))
        .slice(0, Math.max(...all.map((each) => each.disagreements.length))),
    };
  });
  return { ...own, share: meanOfKnown([own, ...others].map(({ share }) => share)), policies };
}

function mergedMeans(all: readonly ShadowMeansJson[]): ShadowMeansJson {
  const weights = all.map(({ compared }) => compared);
  const mean = (of: 'live' | 'shadow'): number | null =>
    weightedMean(
      all.map((each) => each[of] ?? 0),
      weights,
    );
  return { compared: sum(weights), live: mean('live'), shadow: mean('shadow') };
}

export function mergedPrefixes(own: PrefixesJson, others: readonly PrefixesJson[]): PrefixesJson {
  const prefixes = new Map(own.prefixes.map((prefix) => [prefix.id, prefix]));
  for (const prefix of others.flatMap((each) => each.prefixes)) {
    const known = prefixes.get(prefix.id);
    if (known === undefined) prefixes.set(prefix.id, prefix);
    else
      prefixes.set(prefix.id, {
        ...known,
        hits: known.hits + prefix.hits,
        heat: known.heat + prefix.heat,
        usedSecondsAgo: Math.min(known.usedSecondsAgo, prefix.usedSecondsAgo),
      });
  }
  const endpoints = own.endpoints.map((endpoint) => {
    const all = [endpoint, ...others.flatMap((each) => each.endpoints.filter(({ name }) => name === endpoint.name))];
    const weights = all.map(({ prediction }) => prediction.reports);
    const mean = (of: 'error' | 'bias'): number | null =>
      weightedMean(
        all.map(({ prediction }) => prediction[of] ?? 0),
        weights,
      );
    return { ...endpoint, prediction: { reports: sum(weights), error: mean('error'), bias: mean('bias') } };
  });
  const all = [own, ...others];
  return {
    ...own,
    endpoints,
    indexBytes: sum(all.map(({ indexBytes }) => indexBytes)),
    indexLimitBytes: sum(all.map(({ indexLimitBytes }) => indexLimitBytes)),
    engineHashBytes: sum(all.map(({ engineHashBytes }) => engineHashBytes)),
    prefixes: [...prefixes.values()].sort((left, right) => right.heat - left.heat).slice(0, listed),
  };
}

/** Threads step a second each, at moments of their own: a step of the first takes in the last one of each that had ended. */
export function mergedSeries(own: SeriesJson, others: readonly SeriesJson[]): SeriesJson {
  const pool = mergedColumns(
    { ...own.pool, stepMs: own.stepMs },
    others.map((each) => each.pool),
    poolRules,
  );
  const names = Object.keys(own.endpoints.columns);
  const columns = names.map((name) => {
    const part = (of: SeriesJson) => ({
      endedAtMs: of.endpoints.endedAtMs,
      columns: of.endpoints.columns[name] ?? ({} as Record<EndpointColumn, (number | null)[]>),
    });
    return [name, mergedColumns({ ...part(own), stepMs: own.stepMs }, others.map(part), endpointRules)] as const;
  });
  return {
    ...own,
    pool: { ...own.pool, columns: pool },
    endpoints: { ...own.endpoints, columns: Object.fromEntries(columns) },
  };
}

/** `sum`: each counts its own; `mean`: by the requests of each; `most`: near enough to a high quantile of all. */
type Rule = 'first' | 'sum' | 'mean' | 'most';

const poolRules: Readonly<Record<PoolColumn, Rule>> = {
  requestsPerSecond: 'sum',
  failedPerSecond: 'sum',
  promptTokensPerSecond: 'sum',
  cachedTokensPerSecond: 'sum',
  completionTokensPerSecond: 'sum',
  inFlight: 'first',
  held: 'sum',
  queuedPrefillTokens: 'first',
  ttftP50Seconds: 'mean',
  ttftP90Seconds: 'most',
  e2eP50Seconds: 'mean',
  e2eP90Seconds: 'most',
  schedulerP50Seconds: 'mean',
};
const endpointRules: Readonly<Record<EndpointColumn, Rule>> = {
  requestsPerSecond: 'sum',
  inFlight: 'first',
  queuedPrefillTokens: 'first',
  waiting: 'first',
  running: 'first',
  kvUsage: 'first',
  cachedShare: 'mean',
};

interface Columns<Name extends string> {
  readonly endedAtMs: readonly number[];
  readonly columns: Readonly<Record<Name, (number | null)[]>>;
}

function mergedColumns<Name extends PoolColumn | EndpointColumn>(
  own: Columns<string> & { readonly stepMs: number },
  others: readonly Columns<string>[],
  rules: Readonly<Record<Name, Rule>>,
): Record<Name, (number | null)[]> {
  const merged = {} as Record<Name, (number | null)[]>;
  const steps = own.endedAtMs.map((atMs) => others.map(({ endedAtMs }) => lastBefore(endedAtMs, atMs, own.stepMs)));
  for (const [name, rule] of Object.entries(rules) as [Name, Rule][]) {
    merged[name] = own.endedAtMs.map((_, step) => {
      const at = (of: string): (number | null)[] => [
        own.columns[of]?.[step] ?? null,
        ...others.map(({ columns }, other) => columns[of]?.[steps[step]![other]!] ?? null),
      ];
      return combined(rule, at(name), at('requestsPerSecond'));
    });
  }
  return merged;
}

function combined(rule: Rule, values: readonly (number | null)[], weights: readonly (number | null)[]): number | null {
  if (rule === 'first') return values[0]!;
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return null;
  if (rule === 'most') return Math.max(...known);
  if (rule === 'sum') return Number(sum(known).toPrecision(4));
  const knownWeights = weights.filter((_, index) => values[index] !== null).map((weight) => weight ?? 0);
  return Number((weightedMean(known, knownWeights) ?? meanOfKnown(known)!).toPrecision(4));
}

/** The last step that ended within one step before `atMs`; -1 without any. */
function lastBefore(endedAtMs: readonly number[], atMs: number, stepMs: number): number {
  const found = endedAtMs.findLastIndex((ended) => ended <= atMs);
  return found >= 0 && atMs - endedAtMs[found]! <= 2 * stepMs ? found : -1;
}

function sumOf<Kind extends Counts | EndpointTotalsJson>(left: Kind, right: Kind): Kind {
  const total: Counts = { ...left };
  for (const [name, count] of Object.entries(right)) total[name] = (total[name] ?? 0) + (count as number);
  return total as Kind;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Null where all weigh nothing. */
function weightedMean(values: readonly number[], weights: readonly number[]): number | null {
  const weight = sum(weights);
  return weight === 0 ? null : sum(values.map((value, index) => value * weights[index]!)) / weight;
}

function meanOfKnown(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : sum(known) / known.length;
}
