import { useRef, useState } from 'preact/hooks';
import type { DecisionRowJson } from '../../admin/json.ts';
import { useShortcuts } from '../keys.ts';
import { hasFailed } from '../live/decision-list.ts';
import { useFeed } from '../live/use-feed.ts';
import { count } from '../parts/text.ts';
import { currentRoute, go, setQuery, useRoute } from '../route.ts';
import { DecisionTable } from './decision-table.tsx';
import { matches, readFilter } from './filter.ts';
import { FilterBar } from './filter-bar.tsx';

/** Every decision known, newest first, as far as the filter in the address lets it through. */
export function DecisionsPage() {
  const { query } = useRoute();
  const { decisions, endpoints } = useFeed();
  const filter = readFilter(query);
  const selected = query.get('selected');
  const search = useRef<HTMLInputElement>(null);
  /** While it is held, the list stays as it was; what is in it still changes. */
  const [heldIds, setHeldIds] = useState<readonly string[] | null>(null);

  const all = decisions.rows;
  const live = all.filter((row) => matches(row, filter)).reverse();
  const rows =
    heldIds === null ? live : heldIds.flatMap((id) => decisions.find(id) ?? []).filter((row) => matches(row, filter));
  const select = (by: number): void => {
    const now = rows.findIndex(({ id }) => id === chosen());
    const next = rows[Math.max(0, Math.min(rows.length - 1, now < 0 ? 0 : now + by))];
    if (next !== undefined) setQuery({ selected: next.id });
  };
  const open = (): void => {
    const id = chosen();
    if (id !== null) go(`/requests/${encodeURIComponent(id)}`);
  };
  const pause = (): void => setHeldIds(heldIds === null ? all.toReversed().map(({ id }) => id) : null);
  const toggle = (name: string, value: string): void =>
    setQuery({ [name]: currentRoute().query.get(name) === value ? null : value });
  useShortcuts([
    { keys: ['j', 'ArrowDown'], does: 'the next decision', run: () => select(1) },
    { keys: ['k', 'ArrowUp'], does: 'the one before', run: () => select(-1) },
    { keys: ['PageDown'], does: 'twenty further', run: () => select(20) },
    { keys: ['PageUp'], does: 'twenty back', run: () => select(-20) },
    { keys: ['Enter', 'o'], does: 'open it: why it went there', run: open },
    { keys: [' ', 'p'], does: 'pause, go on', run: pause },
    { keys: ['/'], does: 'filter by a text', run: () => search.current?.focus() },
    { keys: ['f'], does: 'only failed', run: () => toggle('verdict', 'failed') },
    { keys: ['i'], does: 'only in flight', run: () => toggle('verdict', 'open') },
    { keys: ['u'], does: 'only surprising', run: () => toggle('surprising', '1') },
    { keys: ['w'], does: 'only slow', run: () => toggle('slow', '1') },
    {
      keys: ['Escape'],
      does: 'take the filters and the choice back',
      run: () => {
        if (document.activeElement === search.current) search.current?.blur();
        else go('/decisions', 'replace');
      },
    },
  ]);
  const news =
    heldIds === null ? [] : all.filter(({ time, id }) => isAfter({ time, id }, decisions.find(heldIds[0] ?? '')));
  return (
    <>
      <h1 class="hidden">Decisions</h1>
      <FilterBar filter={filter} models={modelsOf(all)} endpoints={endpoints ?? []} search={search} />
      <p class="counts" role="status">
        <span>
          {count(rows.length)} of {count(all.length)}
        </span>
        <Counter rows={all} verdict="open" title="in flight" of={(row) => row.status === null} />
        <Counter rows={all} verdict="failed" title="failed" of={hasFailed} />
        {decisions.dropped > 0 && <span>{count(decisions.dropped)} older ones are not shown here any more</span>}
        <button type="button" class={heldIds === null ? '' : 'on'} onClick={pause}>
          {heldIds === null ? 'Pause' : `Paused: ${count(news.length)} new${failedIn(news)}. Go on`}
        </button>
      </p>
      <DecisionTable rows={rows} selected={selected} isFollowing={heldIds === null} />
    </>
  );
}

/** Keys come faster than pages are drawn: the address knows what was chosen last. */
function chosen(): string | null {
  return currentRoute().query.get('selected');
}

/** How many there are whatever the filter: what fails or hangs is never out of sight. */
function Counter({ rows, verdict, title, of }: CounterProps) {
  const found = rows.filter(of).length;
  return (
    <a
      class={`chip ${found === 0 ? '' : verdict === 'failed' ? 'danger' : 'open'}`}
      href={`/decisions?verdict=${verdict}`}
    >
      {count(found)} {title}
    </a>
  );
}

interface CounterProps {
  readonly rows: readonly DecisionRowJson[];
  readonly verdict: string;
  readonly title: string;
  readonly of: (row: DecisionRowJson) => boolean;
}

function failedIn(rows: readonly DecisionRowJson[]): string {
  const failed = rows.filter(hasFailed).length;
  return failed === 0 ? '' : `, ${count(failed)} failed`;
}

function isAfter(row: { time: string; id: string }, newest: DecisionRowJson | undefined): boolean {
  return newest === undefined || row.time > newest.time || (row.time === newest.time && row.id > newest.id);
}

function modelsOf(rows: readonly DecisionRowJson[]): string[] {
  return [...new Set(rows.map(({ model }) => model))].sort();
}
