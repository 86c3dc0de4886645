import { z } from 'zod';
import type { PluginDefinition } from '../scheduler/plugin.ts';
import { pluginByType } from '../scheduler/plugins/index.ts';

const fn = (message: string): z.ZodType => z.custom((value) => typeof value === 'function', message);

const shape = z.object({
  type: z.string().regex(/^[a-z][a-z0-9-]*$/, 'expected lower-case words with dashes'),
  kind: z.enum(['filter', 'scorer', 'picker', 'profile-handler', 'decider']),
  summary: z.string().min(1),
  source: z.string().min(1),
  unit: z.enum(['share', 'seconds']).optional(),
  parameters: z.custom((value) => value instanceof z.ZodType, 'expected a zod schema: z.strictObject({…})'),
  create: fn('expected a function'),
});

/** The definition that a module exports as its default. Throws with what is wrong with it, in words. */
export function ownDefinition(module: unknown): PluginDefinition {
  const exported = (module as { default?: unknown }).default;
  if (exported === undefined) throw new TypeError('it has no default export; expected definePlugin({…})');
  const { data, error } = shape.safeParse(exported);
  if (error !== undefined) {
    throw new TypeError(error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
  }
  if (pluginByType.has(data.type)) throw new TypeError(`type: there is a plugin "${data.type}" already`);
  const needsUnit = data.kind === 'scorer' || data.kind === 'picker';
  if (needsUnit && data.unit === undefined) throw new TypeError('unit: expected share or seconds');
  return exported as PluginDefinition;
}
