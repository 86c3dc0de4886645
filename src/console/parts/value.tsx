import type { ComponentChildren } from 'preact';

interface Props<Known> {
  readonly of: Known | null | undefined;
  readonly as?: (known: Known) => ComponentChildren;
}

/** A value, or the mark of one that is not known: never a zero. */
export function Value<Known>({ of, as = String }: Props<Known>) {
  if (of === null || of === undefined) {
    return (
      <span class="unknown" title="not known">
        ?
      </span>
    );
  }
  return <>{as(of)}</>;
}
