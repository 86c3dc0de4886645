import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { messageOf, SignalboxError } from '../base/errors.ts';
import { parseYaml } from '../base/yaml.ts';
import type { PoolOptions } from '../epp/epp.ts';

const names = z.array(z.string().min(1)).min(1);

/** One pool has the options that the command has for its one. */
const pool = z.strictObject({
  name: z.string().regex(/^[\w.-]+$/, 'letters, digits, dots and dashes'),
  endpoints: names.optional(),
  endpointsFile: z.string().min(1).optional(),
  endpointDns: names.optional(),
  configFile: z.string().min(1).optional(),
  objectsFiles: names.optional(),
});

const schema = z.strictObject({ pools: z.array(pool).min(1) });

/** Reads a file of pools; the files that it names are found from where it stands. @throws SignalboxError */
export async function readPools(file: string): Promise<PoolOptions[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new SignalboxError('config_invalid', `${file}: cannot be read: ${messageOf(error)}`, { param: file });
  });
  const { pools } = parseYaml(text, file, schema);
  const from = (path: string): string => resolve(dirname(file), path);
  const seen = new Set<string>();
  return pools.map(({ name, endpoints, endpointsFile, endpointDns, configFile, objectsFiles }) => {
    if (seen.has(name)) throw new SignalboxError('config_invalid', `${file}: two pools are called "${name}"`);
    seen.add(name);
    if (endpoints === undefined && endpointsFile === undefined && endpointDns === undefined) {
      const ways = 'endpoints, endpointsFile or endpointDns';
      throw new SignalboxError('config_invalid', `${file}: pool "${name}" names no engines: give it ${ways}`);
    }
    return {
      name,
      poolName: name,
      ...(endpoints === undefined ? {} : { endpoints }),
      ...(endpointsFile === undefined ? {} : { endpointsFile: from(endpointsFile) }),
      ...(endpointDns === undefined ? {} : { endpointsDns: endpointDns }),
      ...(objectsFiles === undefined ? {} : { objectsFiles: objectsFiles.map(from) }),
      ...(configFile === undefined ? {} : { policy: { environment: {}, configFile: from(configFile) } }),
    };
  });
}
