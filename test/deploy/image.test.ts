import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { imageContents, imageEnvironment, launcher } from '../../scripts/lib/image-contents.ts';
import { nodeFlags } from '../../scripts/lib/node-flags.ts';
import { repository } from '../support/command.ts';

const read = (file: string): string => readFileSync(join(repository, file), 'utf8');

test('the Dockerfile makes the same image as npm run image: content, start, user, Node', () => {
  const dockerfile = read('deploy/image/Dockerfile');
  const copied = [...dockerfile.matchAll(/^COPY --from=build (\/app\/.+) \S+$/gm)].flatMap(([, sources]) =>
    sources!.split(' ').map((source) => source.replace('/app/', '')),
  );
  assert.deepEqual(copied.sort(), [...imageContents, 'node_modules'].sort());
  // dist is what `npm run build` makes.
  for (const path of imageContents.filter((each) => each !== 'dist'))
    assert.ok(existsSync(join(repository, path)), path);
  assert.ok(dockerfile.includes(`printf '${launcher.replaceAll('\n', '\\n')}'`), 'the launcher');
  const environment = Object.entries(imageEnvironment).map(([name, value]) => `${name}=${value}`);
  assert.ok(dockerfile.includes(`ENV ${environment.join(' ')}\n`), 'the environment');
  assert.match(dockerfile, /^USER 65532:65532$/m);
  const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } };
  const major = /\d+/.exec(engines.node)![0];
  const from = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image);
  assert.deepEqual(from, [`node:${major}-bookworm-slim`, 'debian:bookworm-slim']);
});

test('the command line is started with the same flags from a checkout as everywhere else', () => {
  assert.ok(read('signalbox').endsWith(`exec "$node" ${nodeFlags.join(' ')} "$main" "$@"\n`));
});
