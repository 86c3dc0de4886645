import { share } from './text.ts';

/** A share from 0 to 1 with a small bar: of load, where more is worse, or of cache heat, where more is better. */
export function Metered({ of, kind }: { of: number; kind: 'load' | 'heat' }) {
  const look = kind === 'heat' ? 'heat' : of > 0.9 ? 'danger' : of > 0.7 ? 'caution' : 'clear';
  return (
    <>
      <svg class={`meter ${look}`} viewBox="0 0 40 6" preserveAspectRatio="none" aria-hidden="true">
        <rect class="all" width="40" height="6" />
        <rect width={40 * Math.max(0, Math.min(1, of))} height="6" />
      </svg>
      <span>{share(of)}</span>
    </>
  );
}
