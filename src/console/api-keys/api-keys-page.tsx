import { useRef } from 'preact/hooks';
import type { KeysJson } from '../../admin/json.ts';
import { useShortcuts } from '../keys.ts';
import { usePolled } from '../live/use-polled.ts';
import { SearchField } from '../parts/search-field.tsx';
import { count } from '../parts/text.ts';
import { setQuery, useRoute } from '../route.ts';
import { KeyTable } from './key-table.tsx';

const pollMs = 2000;
/** Of more keys those used last are shown. */
const shownKeys = 200;

/** Who may send requests, and what each has used of what it may. */
export function ApiKeysPage() {
  const text = useRoute().query.get('text') ?? '';
  const search = useRef<HTMLInputElement>(null);
  const path = `/api/keys?limit=${shownKeys}&text=${encodeURIComponent(text)}`;
  const { answer, trouble } = usePolled<KeysJson>(path, pollMs);
  useShortcuts([
    { keys: ['/'], does: 'write a filter', run: () => search.current?.focus() },
    { keys: ['Escape'], does: 'take the filter back', run: () => setQuery({ text: null }) },
  ]);
  if (answer === null) return <p class="empty">{trouble ?? 'Asking the gateway …'}</p>;
  const { asked, count: found, keys } = answer;
  return (
    <>
      <h1 class="hidden">API keys</h1>
      {!asked && (
        <p class="empty">
          Everybody who reaches this gateway may send requests. To ask for keys: <code>--keys-file FILE</code>;{' '}
          <code>signalbox keys new NAME --file FILE</code> makes one.
        </p>
      )}
      {asked && (
        <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
          <SearchField field={search} by="name" value={text} />
          <span role="status">
            {keys.length < found
              ? `${count(keys.length)} of ${count(found)}, those used last`
              : found === 1
                ? '1 key'
                : `${count(found)} keys`}
          </span>
        </form>
      )}
      {trouble !== null && <p class="bad">not fresh: {trouble}</p>}
      {keys.length > 0 && <KeyTable keys={keys} />}
    </>
  );
}
