import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SignalboxError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { watchFile, type FileWatch } from '../fleet/discovery/endpoints-file.ts';
import type { Certificate } from '../proxy/listen.ts';
import type { Security } from '../proxy/upstream.ts';

/** Files of a TLS server: a folder with `tls.crt` and `tls.key`, and whose certificates its clients have to bring. */
interface ServerFiles {
  readonly certPath: string;
  /** The authority that signs clients' certificates; none are asked for without one. */
  readonly clientCa?: string | undefined;
}

/** Files for TLS to engines: who signs their certificates, and a folder as above with our own. */
interface EngineFiles {
  readonly endpointCa?: string | undefined;
  readonly endpointCertPath?: string | undefined;
}

/** @throws SignalboxError `environment`, naming the flag */
export async function readServerFiles({ certPath, clientCa }: ServerFiles): Promise<Certificate> {
  const pair = await readPair('--cert-path', certPath);
  return clientCa === undefined ? pair : { ...pair, clientCa: await read('--client-ca', clientCa) };
}

/** @throws SignalboxError `environment`, naming the flag */
export async function readEngineFiles({ endpointCa, endpointCertPath }: EngineFiles): Promise<Security> {
  return {
    verifies: true,
    ...(endpointCa === undefined ? {} : { ca: await read('--endpoint-ca', endpointCa) }),
    ...(endpointCertPath === undefined ? {} : await readPair('--endpoint-cert-path', endpointCertPath)),
  };
}

/** Reads again what has changed; what cannot be used is in the log, and changes nothing. */
export function watchTlsFiles(
  files: Partial<ServerFiles> & EngineFiles,
  replace: () => Promise<void>,
  log: Logger,
): FileWatch[] {
  const { certPath, clientCa, endpointCa, endpointCertPath } = files;
  const paths = [
    ...(certPath === undefined ? [] : pairOf(certPath)),
    ...(endpointCertPath === undefined ? [] : pairOf(endpointCertPath)),
    ...[clientCa, endpointCa].filter((path) => path !== undefined),
  ];
  const changed = (): void => {
    replace().catch((error: unknown) => log.error(`${messageOf(error)} (what was there before stays)`));
  };
  return paths.map((path) => watchFile(path, changed));
}

function pairOf(folder: string): [cert: string, key: string] {
  return [join(folder, 'tls.crt'), join(folder, 'tls.key')];
}

async function readPair(flag: string, folder: string): Promise<{ cert: string; key: string }> {
  const [cert, key] = pairOf(folder);
  return { cert: await read(flag, cert), key: await read(flag, key) };
}

function read(flag: string, path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: unknown) => {
    throw new SignalboxError('environment', `${flag}: ${messageOf(error)}`);
  });
}
