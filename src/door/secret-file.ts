import { readFile } from 'node:fs/promises';
import { messageOf, SignalboxError } from '../base/errors.ts';

/** Shorter ones can be guessed. */
const leastBytes = 16;

/** What stands in a file that an option names. @throws SignalboxError that names both, where it cannot be read or is too short. */
export async function readSecretFile(option: string, file: string): Promise<Buffer> {
  const secret = await readFile(file).catch((error: unknown) => {
    throw new SignalboxError('environment', `${option}: ${messageOf(error)}`);
  });
  if (secret.toString('latin1').trim().length < leastBytes) {
    throw new SignalboxError('environment', `${option} ${file}: at least ${leastBytes} bytes are needed`);
  }
  return secret;
}
