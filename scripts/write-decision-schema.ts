/** Writes docs/decision.schema.json from the schema that is the type of a Decision's JSON as well. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format } from 'prettier';
import { z } from 'zod';
import { decisionSchema } from '../src/journal/decision-schema.ts';
import { root } from './lib/source-files.ts';

export async function decisionSchemaText(): Promise<string> {
  const schema = z.toJSONSchema(decisionSchema, {
    target: 'draft-7',
    // Fields may be added without another version: whoever checks by this file must not be broken by that.
    override: ({ jsonSchema }) => {
      if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
    },
  });
  return format(JSON.stringify({ title: 'Decision', ...schema }), { parser: 'json', printWidth: 120 });
}

if (import.meta.main) writeFileSync(join(root, 'docs/decision.schema.json'), await decisionSchemaText());
