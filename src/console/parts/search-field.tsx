import type { RefObject } from 'preact';
import { setQuery } from '../route.ts';

interface Props {
  readonly field: RefObject<HTMLInputElement | null>;
  /** What it filters by. */
  readonly by: string;
  readonly value: string;
}

/** Filters by a text, which is the address's parameter `text`. Enter leaves the field. */
export function SearchField({ field, by, value }: Props) {
  return (
    <input
      ref={field}
      type="search"
      placeholder={`filter by ${by}  /`}
      aria-label={by[0]!.toUpperCase() + by.slice(1)}
      value={value}
      onInput={({ currentTarget }) => setQuery({ text: currentTarget.value })}
      onKeyDown={({ key, currentTarget }) => {
        if (key === 'Enter') currentTarget.blur();
      }}
    />
  );
}
