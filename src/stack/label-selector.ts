import { SignalboxError } from '../base/errors.ts';

type LabelSelector = (labels: Readonly<Record<string, string>>) => boolean;

const requirement =
  /^\s*(?:(?<key>[^\s=!,()]+)\s*(?:(?<operator>==|=|!=)\s*(?<value>[^\s=!,()]*)|(?<set>in|notin)\s*\((?<values>[^()]*)\))?|!\s*(?<absent>[^\s=!,()]+))\s*(?:,|$)/;

/**
 * Parses a Kubernetes label selector: `key=value`, `==`, `!=`, `key in (a, b)`, `notin`, `key`, `!key`, joined by commas.
 * As in Kubernetes, `!=` and `notin` also hold for objects without the key. Throws `usage`.
 */
export function parseLabelSelector(text: string): LabelSelector {
  const tests: LabelSelector[] = [];
  let rest = text;
  while (rest.trim() !== '') {
    const match = requirement.exec(rest);
    if (match?.groups === undefined) {
      throw new SignalboxError('usage', `the selector "${text}" is not understood at "${rest.trim()}"; try key=value`);
    }
    tests.push(testOf(match.groups));
    rest = rest.slice(match[0].length);
  }
  return (labels) => tests.every((test) => test(labels));
}

function testOf(groups: Readonly<Record<string, string | undefined>>): LabelSelector {
  const { absent, operator, value, set, values } = groups;
  if (absent !== undefined) return (labels) => labels[absent] === undefined;
  const key = groups['key']!;
  if (operator !== undefined) return (labels) => (labels[key] === value) !== (operator === '!=');
  if (set !== undefined) {
    const allowed = new Set(values!.split(',').map((entry) => entry.trim()));
    return (labels) => (labels[key] !== undefined && allowed.has(labels[key])) !== (set === 'notin');
  }
  return (labels) => labels[key] !== undefined;
}
