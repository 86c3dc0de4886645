import { readAtScrape, type Family } from '../base/metrics.ts';
import type { Sharing } from './sharing.ts';

export function sharingFamilies(sharing: () => Sharing | null): Family[] {
  const one = (name: string, help: string, value: (of: Sharing) => number, type?: 'counter'): Family =>
    readAtScrape(
      [name],
      help,
      () => {
        const of = sharing();
        return [{ labels: {}, value: of === null ? NaN : value(of) }];
      },
      type,
    );
  return [
    one('signalbox_sharing_up', '1 while other replicas can be told and heard, else 0.', ({ isUp }) => Number(isUp)),
    one('signalbox_sharing_peers', 'Other replicas that are there.', ({ peers }) => peers.length),
    one(
      'signalbox_sharing_agreement_ratio',
      'Share of the others’ recent picks that this replica would have made too.',
      ({ agreement }) => agreement.recent,
    ),
    one('signalbox_sharing_lag_seconds', 'From telling to hearing, last.', ({ lagMs }) => lagMs / 1000),
    one('signalbox_sharing_told_bytes_total', 'Bytes told to others.', ({ bytes }) => bytes, 'counter'),
    one(
      'signalbox_sharing_dropped_blocks_total',
      'Prompt blocks that nobody was told of, because nobody could be for too long.',
      ({ droppedBlocks }) => droppedBlocks,
      'counter',
    ),
  ];
}
