/**
 * Builds the console (src/console): one script, one style sheet, the page that loads them. With a folder as argument
 * into that folder. Without one into a cache named by what it is built from, unless it is there; prints where.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { filesBelow, readSource, root } from './lib/source-files.ts';

const keptBuilds = 4;

async function build(out: string): Promise<void> {
  // Loaded only here: they take longer than finding that nothing is to be done.
  const { bundleConsole } = await import('./lib/bundle-console.ts');
  const { script, style } = await bundleConsole();
  // Into its place in one step: whoever looks sees all of it or nothing.
  const building = `${out}.${process.pid}`;
  rmSync(building, { recursive: true, force: true });
  mkdirSync(building, { recursive: true });
  /** As it is, and as browsers take it. */
  const write = (file: string, text: string): string => {
    writeFileSync(join(building, file), text);
    writeFileSync(join(building, `${file}.br`), brotliCompressSync(text));
    writeFileSync(join(building, `${file}.gz`), gzipSync(text));
    return file;
  };
  const named = (name: string, ending: string, text: string): string =>
    write(`${name}-${createHash('sha256').update(text).digest('hex').slice(0, 12)}.${ending}`, text);
  const page = readSource('src/console/index.html')
    .replace('console.js', named('console', 'js', script))
    .replace('console.css', named('console', 'css', style));
  write('index.html', page);
  write('icon.svg', readSource('src/console/icon.svg'));
  rmSync(out, { recursive: true, force: true });
  try {
    renameSync(building, out);
  } catch (error) {
    rmSync(building, { recursive: true, force: true });
    if (!existsSync(out)) throw error; // else another process was as fast
  }
}

async function buildIntoCache(): Promise<string> {
  const { SIGNALBOX_CACHE: cache, XDG_CACHE_HOME: xdg } = process.env;
  const builds = join(cache || join(xdg || join(homedir(), '.cache'), 'signalbox'), 'console');
  const out = join(builds, sourceHash());
  if (existsSync(join(out, 'index.html'))) return out;
  mkdirSync(builds, { recursive: true });
  await build(out);
  const byAge = readdirSync(builds)
    .map((name) => join(builds, name))
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  for (const old of byAge.slice(keptBuilds)) rmSync(old, { recursive: true, force: true });
  return out;
}

function sourceHash(): string {
  const files = [
    ...filesBelow('src/console', ['']),
    ...filesBelow('src/charts', ['']),
    'scripts/build-console.ts',
    'scripts/lib/bundle-console.ts',
    'package-lock.json',
  ];
  const hash = createHash('sha256');
  for (const path of files) hash.update(`${path}\0${readSource(path)}\0`);
  return hash.digest('hex').slice(0, 16);
}

const [out] = process.argv.slice(2);
if (out === undefined) process.stdout.write(`${await buildIntoCache()}\n`);
else {
  mkdirSync(dirname(join(root, out)), { recursive: true });
  await build(join(root, out));
}
