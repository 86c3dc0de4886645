import { readAtScrape, type Family, type Sample } from '../base/metrics.ts';
import type { Key } from './key.ts';
import type { Keys } from './keys.ts';

/** As many keys as any one label may have values. */
const shownKeys = 1000;

/** Usage by key: of those that have been used, at most a thousand. */
export function keyFamilies(keys: Keys): Family[] {
  const counter = (name: string, help: string, samples: (key: Key) => readonly Sample[]): Family =>
    readAtScrape([name], help, () => used(keys).flatMap(samples), 'counter');
  const label = ({ name }: Key): { key: string } => ({ key: name });
  return [
    counter('signalbox_key_requests_total', 'Requests that came with the key and were within its limits.', (key) => [
      { labels: label(key), value: key.usage.requests },
    ]),
    counter('signalbox_key_refused_total', 'Requests refused on the key’s account, by code.', (key) =>
      [...key.usage.refused].map(([code, value]) => ({ labels: { ...label(key), code }, value })),
    ),
    counter(
      'signalbox_key_tokens_total',
      'Tokens as reported by engines; cached ones are prompt tokens too.',
      (key) => {
        const { promptTokens, cachedTokens, completionTokens } = key.usage;
        const kinds = { prompt: promptTokens, cached: cachedTokens, completion: completionTokens };
        return Object.entries(kinds).map(([kind, value]) => ({ labels: { ...label(key), kind }, value }));
      },
    ),
    readAtScrape(
      ['signalbox_key_running'],
      'Requests of the key under way.',
      () => used(keys).map((key) => ({ labels: label(key), value: key.inFlight })),
      'gauge',
      'sum',
    ),
  ];
}

function used(keys: Keys): Key[] {
  const found: Key[] = [];
  for (const key of keys.all()) {
    if (key.usage.requests === 0 && key.usage.refused.size === 0) continue;
    if (found.push(key) >= shownKeys) break;
  }
  return found;
}
