/** `npm run chaos -- [--minutes N] [--seed N]`: exits 1 when the books do not balance. Prints its report as JSON. */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { chaos } from './chaos.ts';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '3' }, seed: { type: 'string' } },
});
const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
const minutes = Number(values.minutes);
if (!Number.isInteger(seed) || !(minutes > 0)) {
  console.error('usage: npm run chaos -- [--minutes N] [--seed N]');
  process.exit(2);
}
console.error(`seed ${seed}, ${minutes} minutes`);
const report = await chaos(seed, minutes, (line) => console.error(line));
console.log(JSON.stringify(report, null, 2));
process.exit(report.mistakes.length > 0 ? 1 : 0);
