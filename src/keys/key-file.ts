import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { messageOf, SignalboxError } from '../base/errors.ts';
import { fileError, readYaml, validate } from '../base/yaml.ts';

const rights = {
  /** In any sixty seconds. */
  requestsPerMinute: z.int().min(1).optional(),
  /** Prompt and completion tokens, in any sixty seconds. */
  tokensPerMinute: z.int().min(1).optional(),
  /** Requests at once. */
  maxConcurrent: z.int().min(1).optional(),
  /** As in InferenceObjectives: higher goes first. */
  priority: z.int().optional(),
  /** The name of an objective whose priority and targets count. */
  objective: z.string().min(1).optional(),
  /** All where none are named. */
  models: z.array(z.string().min(1)).min(1).optional(),
};

const keyName = z
  .string()
  .regex(/^[\w.@:+-]{1,64}$/, 'expected up to 64 letters, digits and . _ @ : + - (it stands in metrics and logs)');
const keyHash = z
  .string()
  .regex(/^sha256:[\w-]{43}$/, 'expected the hash that `signalbox keys new` prints, not the key itself');

const schema = z.strictObject({
  keys: z
    .array(
      z.strictObject({
        name: keyName,
        /** Several while one takes the place of another. */
        hash: z.union([keyHash, z.array(keyHash).min(1)]),
        expires: z.iso.datetime({ offset: true }).optional(),
        ...rights,
      }),
    )
    .default([]),
  /** Whose JSON web tokens are taken. What stands here holds for each of their subjects. */
  issuers: z
    .array(
      z.strictObject({
        issuer: z.url(),
        audience: z.string().min(1),
        /** Where its public keys are; where OpenID Connect's discovery says when left out. */
        jwks: z.url().optional(),
        nameClaim: z.string().min(1).default('sub'),
        ...rights,
      }),
    )
    .default([]),
});

export type KeyFile = z.infer<typeof schema>;
type KeyEntry = KeyFile['keys'][number];
export type Issuer = KeyFile['issuers'][number];

/** What whoever holds a key may do; each absent where it is not bounded. */
export type Rights = Pick<
  KeyEntry,
  'requestsPerMinute' | 'tokensPerMinute' | 'maxConcurrent' | 'priority' | 'objective' | 'models'
>;

/** Reads a file of keys (YAML or JSON). @throws SignalboxError that names file and place, and no hash. */
export async function readKeyFile(path: string): Promise<KeyFile> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new SignalboxError('config_invalid', `${path}: cannot be read: ${messageOf(error)}`, { param: path });
  });
  const yaml = readYaml(text, path);
  const file = validate(yaml, schema);
  const seen = new Set<string>();
  const issues = file.keys.flatMap(({ name, hash }, index) => {
    const fresh = (value: string): boolean => !seen.has(value) && seen.add(value) !== undefined;
    const found = [];
    if (!fresh(name)) found.push({ at: yaml.at(['keys', index, 'name']), message: `a second key named "${name}"` });
    if (![hash].flat().every(fresh)) {
      found.push({ at: yaml.at(['keys', index, 'hash']), message: `the hash of "${name}" stands here twice` });
    }
    return found;
  });
  if (file.keys.length === 0 && file.issuers.length === 0) {
    // More likely a file that is being written than a wish to lock everybody out.
    issues.push({ at: yaml.at([]), message: 'neither keys nor issuers: nobody could send anything' });
  }
  if (issues.length > 0) throw fileError(issues);
  return file;
}
