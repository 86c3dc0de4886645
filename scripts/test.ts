/**
 * `npm test`: every test below test/ but the longer legs that `.ci/run` adds (each a folder named in `legs`).
 * `npm test -- NAME…` runs only files whose path contains a NAME. Ends with a summary that names every skip and why;
 * with CI=true a skip is a failure.
 */
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { join } from 'node:path';
import { availableParallelism } from 'node:os';
import { filesBelow, root } from './lib/source-files.ts';

const legs = [
  'test/vllm/',
  'test/chaos/',
  'test/envoy/',
  'test/replicas/',
  'test/package/',
  'test/browser/',
  'test/clean-clone/',
  'test/kubernetes/',
];
const wanted = process.argv.slice(2);

const files = filesBelow('test', ['.test.ts']).filter((path) =>
  wanted.length > 0 ? wanted.some((name) => path.includes(name)) : !legs.some((leg) => path.startsWith(leg)),
);
/** Real engines, proxies and clusters need the machine for themselves. */
const areLegs = files.every((path) => legs.some((leg) => path.startsWith(leg)));
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(' ')}`);
  process.exit(2);
}

let passed = 0;
let failed = 0;
const failures: string[] = [];
const skips: string[] = [];

const stream = run({
  files: files.map((path) => join(root, path)),
  concurrency: areLegs ? 1 : availableParallelism(),
  cwd: root,
  execArgv: ['--disable-warning=ExperimentalWarning'],
});
stream.on('test:pass', (event) => {
  if (event.details.type === 'suite') return;
  if (event.skip !== undefined) skips.push(`${event.name}: ${event.skip === true ? 'no reason given' : event.skip}`);
  else passed += 1;
});
stream.on('test:fail', (event) => {
  if (event.details.type === 'suite') return;
  failed += 1;
  failures.push(`${event.file ?? ''}: ${event.name}`);
});
stream.compose(new spec()).pipe(process.stdout);
stream.on('end', () => {
  process.on('exit', () => {
    for (const failure of failures) console.log(`failed: ${failure.replace(`${root}/`, '')}`);
    for (const skip of skips) console.log(`skipped: ${skip}`);
    console.log(`${passed} passed, ${failed} failed, ${skips.length} skipped`);
    const skipFails = process.env['CI'] === 'true' && skips.length > 0;
    if (skipFails) console.log('a skip fails here, because CI=true');
    if (failed > 0 || skipFails || passed === 0) process.exitCode = 1;
  });
});
