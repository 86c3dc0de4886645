import { mkdirSync, mkdtempSync, existsSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { copyProgram, writeImage, writeRootFiles } from '../../../scripts/lib/oci-image.ts';
import { repository, runCommand } from '../../support/command.ts';
import { envoyVersion, testedEnvoy } from '../../../src/stack/envoy-program.ts';

/** The names under which the chart asks for these images when its values say nothing else. */
const envoyImage = 'docker.io/envoyproxy/envoy:v1.40.0';
/** A real Redis or Valkey, for replicas that share. */
export const redisImage = 'docker.io/signalbox/redis:test';
const pauseImage = 'docker.io/signalbox/pause:test';

const cache = join(
  process.env['SIGNALBOX_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'signalbox'),
  'images',
);

/** Images for a cluster that can pull none, as tars: what pods are held together by, Envoy, Redis, the product as it is. */
export async function buildImages(folder: string): Promise<string[]> {
  mkdirSync(cache, { recursive: true });
  const pause = join(cache, 'pause.tar');
  const envoy = join(cache, `envoy-${envoyVersion}.tar`);
  if (!existsSync(pause)) {
    await programImage(pause, pauseImage, 'busybox', 'bin/busybox', ['/bin/busybox', 'sleep', '2147483647']);
  }
  if (!existsSync(envoy)) {
    await programImage(envoy, envoyImage, await testedEnvoy(), 'usr/local/bin/envoy', ['/usr/local/bin/envoy']);
  }
  const redis = join(cache, 'redis.tar');
  if (!existsSync(redis)) {
    const program = await succeed('sh', [join(repository, 'test/replicas/install.sh')]);
    const entrypoint = ['/usr/local/bin/redis-server', '--protected-mode', 'no', '--save', ''];
    await programImage(redis, redisImage, program, 'usr/local/bin/redis-server', entrypoint);
  }
  const product = productImage(folder);
  await succeed(process.execPath, [join(repository, 'scripts/build-image.ts'), product]);
  return [pause, envoy, redis, product];
}

/** Where the product's image is. */
export function productImage(folder: string): string {
  return join(folder, 'signalbox.tar');
}

async function programImage(
  file: string,
  name: string,
  program: string,
  target: string,
  entrypoint: string[],
): Promise<void> {
  const layer = mkdtempSync(join(tmpdir(), 'signalbox-layer-'));
  try {
    writeRootFiles(layer);
    copyProgram(program.includes('/') ? program : await succeed('which', [program]), layer, target);
    await writeImage(file, { name, layers: [layer], entrypoint, user: '65532:65532' });
  } finally {
    rmSync(layer, { recursive: true, force: true });
  }
}

async function succeed(command: string, commandArguments: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await runCommand(command, commandArguments);
  if (status !== 0) throw new Error(`${command} ${commandArguments.join(' ')}: ${stderr}`);
  return stdout.trim();
}
