import type { Policy } from '../scheduler/policy.ts';

/** What a policy is made of, as `/api/policies` has it as well. */
interface PolicyShape {
  readonly profiles: readonly {
    readonly name: string;
    readonly filters: readonly { readonly plugin: string; readonly type: string }[];
    readonly scorers: readonly { readonly plugin: string; readonly type: string; readonly weight: number }[];
    readonly picker: { readonly plugin: string; readonly type: string };
  }[];
}

export function policyShape(policy: Policy): PolicyShape {
  const plain = ({ plugin, type }: { plugin: string; type: string }): { plugin: string; type: string } => ({
    plugin,
    type,
  });
  return {
    profiles: [...policy.profiles.values()].map(({ name, filters, scorers, picker }) => ({
      name,
      filters: filters.map(plain),
      scorers: scorers.map((scorer) => ({ ...plain(scorer), weight: scorer.weight })),
      picker: plain(picker),
    })),
  };
}

/** What `after` has that `before` has not (`+`) and the other way round (`-`), a line each. */
export function policyDifferences(before: PolicyShape, after: PolicyShape): string[] {
  const [old, now] = [linesOf(before), linesOf(after)];
  return [
    ...old.filter((line) => !now.includes(line)).map((line) => `- ${line}`),
    ...now.filter((line) => !old.includes(line)).map((line) => `+ ${line}`),
  ];
}

function linesOf({ profiles }: PolicyShape): string[] {
  const named = ({ plugin, type }: { plugin: string; type: string }): string =>
    plugin === type ? type : `${plugin} (${type})`;
  return profiles.flatMap(({ name, filters, scorers, picker }) => [
    ...filters.map((filter, at) => `profile ${name}: filter ${at + 1}: ${named(filter)}`),
    ...scorers.map((scorer) => `profile ${name}: ${named(scorer)} x${scorer.weight}`),
    `profile ${name}: ${named(picker)}`,
  ]);
}
