import { readdirSync, readFileSync } from 'node:fs';
import { readAtScrape, type Family, type Sample } from '../base/metrics.ts';

/** File descriptors, under the names that every Prometheus client has; where the system does not tell, without a sample. */
export function descriptorFamilies(): Family[] {
  const told = (value: () => number) => (): Sample[] => {
    try {
      return [{ labels: {}, value: value() }];
    } catch {
      return [];
    }
  };
  return [
    readAtScrape(
      ['process_open_fds'],
      'Open file descriptors.',
      told(() => readdirSync('/proc/self/fd').length),
    ),
    readAtScrape(['process_max_fds'], 'The most there may be.', told(mostDescriptors)),
  ];
}

function mostDescriptors(): number {
  return Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))![1]);
}
