import assert from 'node:assert/strict';

export interface ExposedFamily {
  type: string;
  samples: { name: string; labels: Record<string, string>; value: number }[];
}

const name = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const sample = new RegExp(`^(${name})(?:\\{(.*)\\})? (\\S+)$`);
const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/;
const suffixes: Record<string, string[]> = { histogram: ['_bucket', '_sum', '_count'], counter: [''], gauge: [''] };

/**
 * Reads Prometheus' text format (version 0.0.4) and holds it to every rule that `promtool check metrics` and the
 * format's page name: order, names, escapes, uniqueness, counters' and histograms' own. @throws AssertionError
 */
export function checkedFamilies(text: string): Map<string, ExposedFamily> {
  const families = new Map<string, ExposedFamily>();
  const series = new Set<string>();
  let current = '';
  let helped = '';
  assert.ok(text.endsWith('\n'), 'the last line ends with a line feed');
  for (const line of text.slice(0, -1).split('\n')) {
    const [, keyword, subject = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (keyword === 'HELP') {
      assert.match(subject, new RegExp(`^${name}$`));
      assert.doesNotMatch(rest, /\\(?![\\n])/, line);
      helped = subject;
    } else if (keyword === 'TYPE') {
      assert.equal(subject, helped, 'HELP comes first, of the same family');
      assert.ok(rest in suffixes, line);
      assert.ok(!families.has(subject), `${subject} comes once`);
      assert.equal(rest === 'counter', subject.endsWith('_total'), `only counters end in _total: ${line}`);
      families.set(subject, { type: rest, samples: [] });
      current = subject;
    } else {
      const [, sampleName = '', labelText = '', valueText = ''] =
        sample.exec(line) ?? assert.fail(`no sample: ${line}`);
      const family = families.get(current) ?? assert.fail(`before any TYPE: ${line}`);
      assert.ok(
        suffixes[family.type]!.some((suffix) => sampleName === current + suffix),
        `${line} is not of ${current}`,
      );
      const labels: Record<string, string> = {};
      for (let left = labelText; left !== '';) {
        const [all, key = '', value = ''] = label.exec(left) ?? assert.fail(`labels of ${line}`);
        assert.ok(!(key in labels) && !key.startsWith('__'), line);
        labels[key] = value;
        left = left.slice(all.length);
      }
      const value = valueText === '+Inf' ? Infinity : Number(valueText);
      assert.ok(!Number.isNaN(value), line);
      const identity = sampleName + JSON.stringify(Object.entries(labels).sort());
      assert.ok(!series.has(identity), `twice: ${line}`);
      series.add(identity);
      if (family.type === 'counter') assert.ok(value >= 0, line);
      family.samples.push({ name: sampleName, labels, value });
    }
  }
  for (const [family, { type, samples }] of families) if (type === 'histogram') checkHistogram(family, samples);
  return families;
}

function checkHistogram(family: string, samples: ExposedFamily['samples']): void {
  const withoutLe = ({ labels }: ExposedFamily['samples'][number]): string =>
    JSON.stringify(
      Object.entries(labels)
        .filter(([key]) => key !== 'le')
        .sort(),
    );
  for (const [labels, group] of Map.groupBy(samples, withoutLe)) {
    const buckets = group.filter((one) => one.name === `${family}_bucket`);
    const bounds = buckets.map(({ labels: { le } }) => (le === '+Inf' ? Infinity : Number(le)));
    assert.deepEqual(
      bounds,
      bounds.toSorted((a, b) => a - b),
      `${family} ${labels}`,
    );
    assert.equal(bounds.at(-1), Infinity);
    const counts = buckets.map(({ value }) => value);
    assert.deepEqual(
      counts,
      counts.toSorted((a, b) => a - b),
      `${family} ${labels}`,
    );
    const only = (suffix: string): number => {
      const found = group.filter((one) => one.name === family + suffix);
      assert.equal(found.length, 1, `${family}${suffix} ${labels}`);
      return found[0]!.value;
    };
    assert.equal(only('_count'), counts.at(-1));
    only('_sum');
  }
}
