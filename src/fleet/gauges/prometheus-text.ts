/**
 * Values of one metric in Prometheus' text format, one per label set. Only lines of that name are looked at: an
 * engine's page is some 50 KB of which we want three numbers.
 */
export function samples(text: string, name: string): { labels: string; value: number }[] {
  const found: { labels: string; value: number }[] = [];
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + name.length)) {
    if (at > 0 && text[at - 1] !== '\n') continue;
    const end = text.indexOf('\n', at);
    const line = text.slice(at + name.length, end < 0 ? undefined : end);
    const match = /^(\{.*\})?\s+(\S+)/.exec(line);
    if (match === null) continue;
    found.push({ labels: match[1] ?? '', value: match[2] === '+Inf' ? Infinity : Number(match[2]) });
  }
  return found;
}

/** Sum over label sets; NaN when the metric is not there. */
export function sum(text: string, name: string): number {
  const all = samples(text, name);
  return all.length === 0 ? NaN : all.reduce((total, { value }) => total + value, 0);
}

/** Mean over label sets; NaN when the metric is not there. */
export function mean(text: string, name: string): number {
  const all = samples(text, name);
  return all.reduce((total, { value }) => total + value, 0) / all.length;
}

/** The first of several numbers that is known. */
export function firstKnown(...values: readonly number[]): number {
  return values.find((value) => !Number.isNaN(value)) ?? NaN;
}
