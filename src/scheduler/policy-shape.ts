import { defaultHoldRule } from './flow-control.ts';
import type { Policy } from './policy.ts';

interface Part {
  readonly plugin: string;
  readonly type: string;
}

type Values = Readonly<Record<string, unknown>>;

/** What a policy is made of, for people and for comparing. */
export interface PolicyShape {
  readonly profiles: readonly {
    readonly name: string;
    readonly filters: readonly Part[];
    readonly scorers: readonly (Part & { readonly unit: 'share' | 'seconds'; readonly weight: number })[];
    readonly picker: Part;
  }[];
  /** All that are configured, handlers and deciders too, with their parameters after defaults. */
  readonly configured: readonly (Part & { readonly parameters: Values })[];
  readonly flowControl: Values;
}

export function policyShape({ profiles, configured, hold }: Policy): PolicyShape {
  const part = ({ plugin, type }: Part): Part => ({ plugin, type });
  return {
    profiles: [...profiles.values()].map(({ name, filters, scorers, picker }) => ({
      name,
      filters: filters.map(part),
      scorers: scorers.map((scorer) => ({ ...part(scorer), unit: scorer.unit, weight: scorer.weight })),
      picker: part(picker),
    })),
    configured: configured.map((each) => ({ ...part(each), parameters: each.parameters as Values })),
    flowControl: { ...(hold ?? defaultHoldRule) },
  };
}

/** What `after` has that `before` has not (`+`) and the other way round (`-`), a line each. */
export function policyDifferences(before: PolicyShape, after: PolicyShape): string[] {
  // Parameters of what is on one side only would repeat that it is new, or gone.
  const both = new Set(
    before.configured.map(keyOf).filter((key) => after.configured.some((each) => keyOf(each) === key)),
  );
  const [old, now] = [linesOf(before, both), linesOf(after, both)];
  return [
    ...old.filter((line) => !now.includes(line)).map((line) => `- ${line}`),
    ...now.filter((line) => !old.includes(line)).map((line) => `+ ${line}`),
  ];
}

function keyOf({ plugin, type }: Part): string {
  return plugin === type ? type : `${plugin} (${type})`;
}

function linesOf({ profiles, configured, flowControl }: PolicyShape, withParameters: ReadonlySet<string>): string[] {
  const values = (of: string, all: Values): string[] =>
    Object.entries(all).map(([name, value]) => `${of}: ${name} ${JSON.stringify(value)}`);
  return [
    ...profiles.flatMap(({ name, filters, scorers, picker }) => [
      ...filters.map((filter, at) => `profile ${name}: filter ${at + 1}: ${keyOf(filter)}`),
      ...scorers.map((scorer) => `profile ${name}: ${keyOf(scorer)} x${scorer.weight}`),
      `profile ${name}: ${keyOf(picker)}`,
    ]),
    ...configured.flatMap((each) =>
      withParameters.has(keyOf(each)) ? values(keyOf(each), each.parameters) : [`plugin ${keyOf(each)}`],
    ),
    ...values('flowControl', flowControl),
  ];
}
