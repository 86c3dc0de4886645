/** Writes deploy/chart/values.schema.json from the schema by which `signalbox up` reads values files. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format } from 'prettier';
import { z } from 'zod';
import { valuesSchema } from '../src/stack/values.ts';
import { root } from './lib/source-files.ts';

export async function valuesSchemaText(): Promise<string> {
  const schema = z.toJSONSchema(valuesSchema, { target: 'draft-7', io: 'input' });
  return format(JSON.stringify(schema), { parser: 'json', printWidth: 120 });
}

if (import.meta.main) writeFileSync(join(root, 'deploy/chart/values.schema.json'), await valuesSchemaText());
