export type PlainObject = Record<string, unknown>;

export function plainObject(value: unknown): value is PlainObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Lists whose items have a name: those of the same name meet; containers are merged, of the others the later wins. */
const merged = new Set(['containers', 'initContainers']);
const replaced = new Set(['env', 'ports', 'volumes', 'volumeMounts']);

/**
 * `over` laid over `base`: what `over` says wins, key by key. Containers, environment, ports and volumes meet by name; a
 * container's arguments are added to those that are there, so that the later of two equal flags wins; any other list is
 * replaced.
 */
export function layOver(base: unknown, over: unknown, key = ''): unknown {
  if (over === undefined) return base;
  if (Array.isArray(base) && Array.isArray(over)) {
    if (key === 'args') return [...(base as unknown[]), ...(over as unknown[])];
    return merged.has(key) || replaced.has(key) ? byName(base, over, merged.has(key)) : over;
  }
  if (!plainObject(base) || !plainObject(over)) return over;
  const result: PlainObject = { ...base };
  for (const [inner, value] of Object.entries(over)) result[inner] = layOver(base[inner], value, inner);
  return result;
}

function byName(base: readonly unknown[], over: readonly unknown[], merge: boolean): unknown[] {
  const nameOf = (item: unknown): unknown => (plainObject(item) ? (item['name'] ?? item) : item);
  const rest = new Map(over.map((item) => [nameOf(item), item]));
  const result = base.map((item) => {
    const name = nameOf(item);
    const laid = rest.get(name);
    rest.delete(name);
    return laid === undefined ? item : merge ? layOver(item, laid) : laid;
  });
  return [...result, ...rest.values()];
}
