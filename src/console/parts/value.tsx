import type { ComponentChildren } from 'preact';

/** A value, or the mark of one that is not known: never a zero. */
export function Value({ of, children }: { of: unknown; children?: ComponentChildren }) {
  if (of === null || of === undefined || Number.isNaN(of)) {
    return (
      <span class="unknown" title="not known">
        ?
      </span>
    );
  }
  return <>{children ?? String(of)}</>;
}
