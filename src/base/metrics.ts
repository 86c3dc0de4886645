/**
 * Metrics in Prometheus' text format (version 0.0.4). Counts are kept as plain numbers on the hot path; names, labels
 * and text are made when scraped.
 */
export interface Family {
  /** The first is its name; the others repeat it for dashboards that know it by an older one. */
  readonly names: readonly string[];
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /**
   * What the values of several threads come to: that of the first one where each of them knows the whole, as it is with
   * gauges where nothing is said; else their sum or mean.
   */
  readonly across?: Across;
  samples(): Iterable<Sample>;
}

type Across = 'first' | 'sum' | 'mean';

export interface Sample {
  /** Appended to the family's name, e.g. `_bucket`. */
  readonly suffix?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Label values come from clients: past this many sets the rest is counted as `other`. */
const labelSetLimit = 1000;

/** Values by label set, bounded. */
class LabelSets<Value> {
  readonly #names: readonly string[];
  readonly #byKey = new Map<string, { labels: Record<string, string>; value: Value }>();
  readonly #create: () => Value;

  constructor(names: readonly string[], create: () => Value) {
    this.#names = names;
    this.#create = create;
  }

  at(values: readonly string[]): { labels: Record<string, string>; value: Value } {
    const key = values.join('\u0000');
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const full = this.#byKey.size >= labelSetLimit;
    if (full && values.some((value) => value !== 'other')) return this.at(values.map(() => 'other'));
    const labels = Object.fromEntries(this.#names.map((name, index) => [name, values[index] ?? '']));
    const entry = { labels, value: this.#create() };
    this.#byKey.set(key, entry);
    return entry;
  }

  all(): Iterable<{ labels: Record<string, string>; value: Value }> {
    return this.#byKey.values();
  }
}

/** A number with its labels, for whoever changes it often. */
export class Count {
  value = 0;

  add(count = 1): void {
    this.value += count;
  }
}

/** A number by label set that only grows; as a gauge it may fall as well. */
class Sum<Type extends 'counter' | 'gauge'> implements Family {
  readonly type: Type;
  readonly names: readonly string[];
  readonly help: string;
  readonly #sets: LabelSets<Count>;

  constructor(type: Type, names: readonly string[], help: string, labelNames: readonly string[]) {
    this.type = type;
    this.names = names;
    this.help = help;
    this.#sets = new LabelSets(labelNames, () => new Count());
  }

  add(labels: readonly string[], count = 1): void {
    this.at(labels).add(count);
  }

  /** To keep, where the same labels come again and again. */
  at(labels: readonly string[]): Count {
    return this.#sets.at(labels).value;
  }

  *samples(): Iterable<Sample> {
    for (const { labels, value } of this.#sets.all()) yield { labels, value: value.value };
  }
}

export class Counter extends Sum<'counter'> {
  constructor(names: readonly string[], help: string, labelNames: readonly string[]) {
    super('counter', names, help, labelNames);
  }
}

export class Gauge extends Sum<'gauge'> {
  readonly across = 'sum';

  constructor(names: readonly string[], help: string, labelNames: readonly string[]) {
    super('gauge', names, help, labelNames);
  }
}

/** A histogram's values with their labels, for whoever observes often. */
export class Buckets {
  readonly #bounds: readonly number[];
  /** By bound, and of what is above all. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
    this.counts[bucket]! += 1;
    this.sum += value;
  }
}

export class Histogram implements Family {
  readonly type = 'histogram';
  readonly names: readonly string[];
  readonly help: string;
  readonly #bounds: readonly number[];
  readonly #sets: LabelSets<Buckets>;

  constructor(names: readonly string[], help: string, labelNames: readonly string[], bounds: readonly number[]) {
    this.names = names;
    this.help = help;
    this.#bounds = bounds;
    this.#sets = new LabelSets(labelNames, () => new Buckets(bounds));
  }

  observe(labels: readonly string[], value: number): void {
    this.at(labels).observe(value);
  }

  /** To keep, where the same labels come again and again. */
  at(labels: readonly string[]): Buckets {
    return this.#sets.at(labels).value;
  }

  *samples(): Iterable<Sample> {
    for (const { labels, value: buckets } of this.#sets.all()) {
      let below = 0;
      for (const [bucket, bound] of [...this.#bounds, Infinity].entries()) {
        below += buckets.counts[bucket]!;
        yield { suffix: '_bucket', labels: { ...labels, le: numberText(bound) }, value: below };
      }
      yield { suffix: '_sum', labels, value: buckets.sum };
      yield { suffix: '_count', labels, value: below };
    }
  }
}

/** A gauge or counter whose values are read where they live, at the scrape. */
export function readAtScrape(
  names: readonly string[],
  help: string,
  samples: () => Iterable<Sample>,
  type: 'gauge' | 'counter' = 'gauge',
  across?: Across,
): Family {
  return { names, help, type, samples, ...(across === undefined ? {} : { across }) };
}

/** A family with its values of one moment, as it is passed from thread to thread. */
export interface FamilySnapshot extends Omit<Family, 'samples'> {
  readonly samples: readonly Sample[];
}

export function snapshotsOf(families: readonly Family[]): FamilySnapshot[] {
  return families.map((family) => ({
    ...{ names: family.names, help: family.help, type: family.type },
    ...(family.across === undefined ? {} : { across: family.across }),
    samples: [...family.samples()].filter(({ value }) => Number.isFinite(value)),
  }));
}

/** Families of several threads as one; the first thread's come first, and what others have beside them is left out. */
export function familiesOfThreads(threads: readonly (readonly FamilySnapshot[])[]): Family[] {
  const [first = [], ...others] = threads;
  return first.map(({ samples, ...family }) => {
    const across = family.across ?? (family.type === 'gauge' ? 'first' : 'sum');
    if (across === 'first') return { ...family, samples: () => samples };
    const sums = new Map<string, { sample: Sample; value: number }>();
    const add = (sample: Sample): void => {
      const key = JSON.stringify([sample.suffix, sample.labels]);
      const known = sums.get(key);
      if (known === undefined) sums.set(key, { sample, value: sample.value });
      else known.value += sample.value;
    };
    samples.forEach(add);
    for (const thread of others) thread.find(({ names }) => names[0] === family.names[0])?.samples.forEach(add);
    const divisor = across === 'mean' ? threads.length : 1;
    return {
      ...family,
      samples: () => Array.from(sums.values(), ({ sample, value }) => ({ ...sample, value: value / divisor })),
    };
  });
}

/** Families of several sources as one, each sample with a label that says whose it is. */
export function familiesOfAll(label: string, sources: ReadonlyMap<string, readonly Family[]>): Family[] {
  const byName = new Map<string, { family: Family; samples: (() => Iterable<Sample>)[] }>();
  for (const [source, families] of sources) {
    for (const family of families) {
      const merged = byName.get(family.names[0]!) ?? { family, samples: [] };
      byName.set(family.names[0]!, merged);
      merged.samples.push(() =>
        Array.from(family.samples(), (sample) => ({ ...sample, labels: { ...sample.labels, [label]: source } })),
      );
    }
  }
  return Array.from(byName.values(), ({ family: { names, help, type }, samples }) => ({
    ...{ names, help, type },
    samples: () => samples.flatMap((each) => [...each()]),
  }));
}

export function metricsText(families: readonly Family[]): string {
  const lines: string[] = [];
  for (const family of families) {
    const samples = [...family.samples()].filter(({ value }) => !Number.isNaN(value));
    for (const name of family.names) {
      lines.push(`# HELP ${name} ${family.help}`, `# TYPE ${name} ${family.type}`);
      for (const { suffix = '', labels, value } of samples) {
        lines.push(`${name}${suffix}${labelText(labels)} ${numberText(value)}`);
      }
    }
  }
  return lines.join('\n') + '\n';
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function numberText(value: number): string {
  return value === Infinity ? '+Inf' : value === -Infinity ? '-Inf' : String(value);
}
