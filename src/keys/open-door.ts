import { isLoopback } from '../base/address.ts';
import { SignalboxError } from '../base/errors.ts';

/** Serving everybody is fine on this machine; elsewhere it has to be said. @throws SignalboxError `usage` */
export function refuseStrangers(host: string, keysFile: string | undefined, isOpen: boolean): void {
  if (keysFile !== undefined || isOpen || isLoopback(host)) return;
  throw new SignalboxError(
    'usage',
    `--host ${host} lets everybody who can reach it send requests: name a --keys-file (signalbox keys new makes keys), or say --no-keys if that is meant`,
  );
}
