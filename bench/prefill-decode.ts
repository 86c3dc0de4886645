/**
 * `npm run bench:prefill-decode`: what prefill and decode apart bring on recorded traffic with long prompts, on eight endpoints
 * whichever way they are used. Written as a table to bench/prefill-decode.md. On a virtual clock: the machine changes nothing.
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { root } from '../scripts/lib/source-files.ts';
import { runJobs } from '../src/replay/pool.ts';
import { progressBar } from '../src/replay/progress.ts';
import { contenders, prefillDecodeScenario, type Contender } from './prefill-decode-scenario.ts';

const rates = [0.4, 0.7, 1, 1.4, 2, 2.5];
const seeds = [1, 2, 3];
const sessions = 1700;

const cells = rates.flatMap((rate) => contenders.map((contender) => ({ rate, contender })));
const jobs = cells.flatMap(({ rate, contender }) =>
  seeds.map((seed) => ({
    kind: 'run' as const,
    scenario: prefillDecodeScenario({ rate, seed, sessions, roles: contender.roles }),
    policy: contender.policy,
  })),
);
const progress = progressBar(process.stderr, 'prefill and decode apart');
const results = await runJobs(jobs, availableParallelism(), { onProgress: (share) => progress.show(share) });
progress.end();

const inTime = (rate: number, contender: Contender): number[] => {
  const at = cells.findIndex((cell) => cell.rate === rate && cell.contender === contender) * seeds.length;
  return results.slice(at, at + seeds.length).map((each) => (each.kind === 'run' ? each.result.inSlo : NaN));
};
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const percent = (values: readonly number[]): string => {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return `${(100 * mean(values)).toFixed(1)} % (${(100 * least).toFixed(1)} to ${(100 * most).toFixed(1)})`;
};
const row = (fields: readonly string[]): string => `| ${fields.join(' | ')} |`;
const [ours, ...others] = contenders;
const lines = rates.map((rate) => {
  const best = Math.max(...others.map((contender) => mean(inTime(rate, contender))));
  const ahead = 100 * (mean(inTime(rate, ours)) - best);
  return row([
    `×${rate}`,
    ...contenders.map((each) => percent(inTime(rate, each))),
    `${ahead >= 0 ? '+' : ''}${ahead.toFixed(1)}`,
  ]);
});
writeFileSync(
  join(root, 'bench/prefill-decode.md'),
  `# Prefill and decode apart, on the same hardware

\`npm run bench:prefill-decode\`: the first ${sessions} sessions of Mooncake's conversation trace (prompts of 12,000 tokens on average),
eight endpoints of \`qwen3-32b-2xh100\`, on the virtual clock. Share of requests in time (TTFT up to 5 s and TPOT up to 60 ms): mean of
${seeds.length} seeds, and from the least to the most of them; last, by how many points ours is ahead of the better of the others.

${row(['rate', ...contenders.map(({ title }) => title), 'ahead'])}
${row(Array.from({ length: contenders.length + 2 }, () => '---'))}
${lines.join('\n')}

One cell is \`signalbox replay --trace mooncake-conversation --sessions ${sessions} --endpoints 8 --roles prefill,decode --policy disaggregated
--rate 2 --seed 1\`; never splitting goes without \`--roles\`, so that all eight do both.
`,
);
