import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  createReadStream,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

interface ImageOptions {
  /** `repository:tag`, as pods name it, with its registry. */
  readonly name: string;
  /** Folders, each the root of one layer, lowest first. */
  readonly layers: readonly string[];
  readonly entrypoint: readonly string[];
  readonly user: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly workingFolder?: string;
}

const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/**
 * Writes a container image as one tar, without a daemon or a registry: an OCI layout
 * (https://github.com/opencontainers/image-spec/blob/main/image-layout.md) that `ctr image import`, `podman load`, and
 * by the manifest.json beside it `docker load`, take. The same content gives the same bytes.
 */
export async function writeImage(path: string, options: ImageOptions): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'signalbox-image-'));
  try {
    const blobs = join(folder, 'blobs/sha256');
    mkdirSync(blobs, { recursive: true });
    const layers: Blob[] = [];
    for (const [index, layer] of options.layers.entries()) {
      const file = join(folder, `layer-${index}`);
      archive(file, layer);
      layers.push(await keep(blobs, file));
    }
    const image = {
      architecture: architectures[process.arch] ?? process.arch,
      os: 'linux',
      config: {
        Entrypoint: options.entrypoint,
        User: options.user,
        Env: Object.entries(options.env ?? {}).map(([key, value]) => `${key}=${value}`),
        WorkingDir: options.workingFolder ?? '/',
      },
      rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
    };
    const config = await keepJson(blobs, folder, image);
    const manifest = await keepJson(blobs, folder, {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
      layers: layers.map((layer) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...layer })),
    });
    writeJson(join(folder, 'oci-layout'), { imageLayoutVersion: '1.0.0' });
    writeJson(join(folder, 'index.json'), {
      schemaVersion: 2,
      manifests: [
        {
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          ...manifest,
          annotations: {
            'io.containerd.image.name': options.name,
            'org.opencontainers.image.ref.name': options.name.slice(options.name.lastIndexOf(':') + 1),
          },
        },
      ],
    });
    const blobPath = ({ digest }: Blob): string => `blobs/sha256/${digest.slice('sha256:'.length)}`;
    writeJson(join(folder, 'manifest.json'), [
      { Config: blobPath(config), RepoTags: [options.name], Layers: layers.map(blobPath) },
    ]);
    archive(`${path}.new`, folder);
    renameSync(`${path}.new`, path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Copies a program into `layer` with the shared libraries that it needs, each under its own path. */
export function copyProgram(program: string, layer: string, target: string): void {
  copy(program, join(layer, target));
  // A static program needs none, and ldd fails at it.
  const needed = spawnSync('ldd', [program], { encoding: 'utf8' }).stdout;
  for (const match of needed.matchAll(/(?:=> )?(\/\S+) \(0x/g)) copy(realpathSync(match[1]!), join(layer, match[1]!));
}

/** What every program expects of a root: a user without rights, a folder for temporary files. */
export function writeRootFiles(layer: string): void {
  mkdirSync(join(layer, 'etc'), { recursive: true });
  writeFileSync(
    join(layer, 'etc/passwd'),
    'root:x:0:0:root:/:/sbin/nologin\nsignalbox:x:65532:65532::/tmp:/sbin/nologin\n',
  );
  writeFileSync(join(layer, 'etc/group'), 'root:x:0:\nsignalbox:x:65532:\n');
  mkdirSync(join(layer, 'tmp'), { recursive: true });
  chmodSync(join(layer, 'tmp'), 0o1777);
}

interface Blob {
  readonly digest: string;
  readonly size: number;
}

async function keep(blobs: string, file: string): Promise<Blob> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  const digest = hash.digest('hex');
  const { size } = statSync(file);
  renameSync(file, join(blobs, digest));
  return { digest: `sha256:${digest}`, size };
}

function keepJson(blobs: string, folder: string, value: unknown): Promise<Blob> {
  const file = join(folder, 'json');
  writeJson(file, value);
  return keep(blobs, file);
}

function writeJson(file: string, value: unknown): void {
  writeFileSync(file, JSON.stringify(value));
}

function archive(file: string, folder: string): void {
  const same = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];
  execFileSync('tar', [...same, '-C', folder, `--exclude=${basename(file)}`, '-cf', file, '.']);
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
}
