import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { DecisionRowJson } from '../../admin/json.ts';
import { hasFailed } from '../live/decision-list.ts';
import { StatusChip } from '../parts/status-chip.tsx';
import { RowWay } from '../parts/way.tsx';
import { clock, seconds, short } from '../parts/text.ts';
import { Value } from '../parts/value.tsx';

interface Props {
  readonly rows: readonly DecisionRowJson[];
  readonly selected: string | null;
  readonly isFollowing: boolean;
}

/** Rows above and below what is seen. */
const margin = 8;
const narrowest = 760;

/** A table of any length, of which only what can be seen is in the page. */
export function DecisionTable({ rows, selected, isFollowing }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600, isNarrow: innerWidth < narrowest });
  const rowHeight = view.isNarrow ? 62 : 30;
  useEffect(() => {
    const element = scroller.current!;
    const look = (): void => {
      setView({ top: element.scrollTop, height: element.clientHeight, isNarrow: innerWidth < narrowest });
    };
    const observer = new ResizeObserver(look);
    observer.observe(element);
    element.addEventListener('scroll', look, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', look);
    };
  }, []);

  // New rows come in above: what somebody reads further down stays where it is.
  const first = useRef<string | null>(null);
  useLayoutEffect(() => {
    const element = scroller.current!;
    const shift = first.current === null ? -1 : rows.findIndex(({ id }) => id === first.current);
    first.current = rows[0]?.id ?? null;
    if (isFollowing && shift > 0 && element.scrollTop > 0) element.scrollTop += shift * rowHeight;
  });
  const at = selected === null ? -1 : rows.findIndex(({ id }) => id === selected);
  useLayoutEffect(() => {
    if (at < 0) return;
    const element = scroller.current!;
    const [top, bottom] = [at * rowHeight, (at + 1) * rowHeight];
    if (top < element.scrollTop) element.scrollTop = top;
    else if (bottom > element.scrollTop + element.clientHeight) element.scrollTop = bottom - element.clientHeight;
  }, [selected]);

  // Two names need more room than one.
  const hasSplit = rows.some(({ prefill }) => prefill !== null);
  const from = Math.max(0, Math.floor(view.top / rowHeight) - margin);
  const until = Math.min(rows.length, Math.ceil((view.top + view.height) / rowHeight) + margin);
  return (
    <div
      class={`decisions${hasSplit ? ' split' : ''}`}
      role="table"
      aria-label="Decisions"
      aria-rowcount={rows.length + 1}
    >
      <div class="decision head" role="row" aria-rowindex={1}>
        {['time', 'endpoint', 'status', 'model', 'prompt', 'cached', 'held', 'first token', 'end to end', 'why'].map(
          (title) => (
            <span key={title} role="columnheader">
              {title}
            </span>
          ),
        )}
      </div>
      <div class="scroller" ref={scroller} tabIndex={-1}>
        {rows.length === 0 && <p class="empty">No decision is like that.</p>}
        <div class="all" style={{ height: `${rows.length * rowHeight}px` }}>
          {rows.slice(from, until).map((row, index) => (
            <Row
              key={row.id}
              row={row}
              index={from + index}
              top={(from + index) * rowHeight}
              height={rowHeight}
              isSelected={row.id === selected}
            />
          ))}
        </div>
      </div>
    </div>
  );
}

interface RowProps {
  readonly row: DecisionRowJson;
  readonly index: number;
  readonly top: number;
  readonly height: number;
  readonly isSelected: boolean;
}

function Row({ row, index, top, height, isSelected }: RowProps) {
  const { id, time, model, promptTokens, queuedSeconds, reason, surprise, ttftSeconds, e2eSeconds, status } = row;
  const cached = row.cachedTokens ?? (status === null ? row.predictedCachedTokens : null);
  const look = [isSelected ? 'selected' : '', hasFailed(row) ? 'bad' : '', status === null ? 'going' : ''].join(' ');
  return (
    <div
      class={`decision ${look}`}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={isSelected}
      data-id={id}
      style={{ transform: `translateY(${top}px)`, height: `${height}px` }}
    >
      <span role="cell">
        <a href={`/requests/${encodeURIComponent(id)}`}>
          <time>{clock(time)}</time>
        </a>
      </span>
      <span role="cell">
        <RowWay row={row} />
      </span>
      <span role="cell">
        <StatusChip row={row} />
      </span>
      <span role="cell" class="model" title={model}>
        {model}
      </span>
      <span role="cell" class="number" data-label="prompt">
        {short(promptTokens)}
      </span>
      <span
        role="cell"
        class={`number${row.cachedTokens === null ? ' guess' : ''}`}
        data-label="cached"
        title={row.cachedTokens === null ? 'as predicted' : 'as the engine reports'}
      >
        <Value of={cached} as={short} />
      </span>
      <span role="cell" class="number" data-label="held">
        {queuedSeconds < 0.001 ? '' : seconds(queuedSeconds)}
      </span>
      <span role="cell" class="number" data-label="first token">
        {status === null ? '' : <Value of={ttftSeconds} as={seconds} />}
      </span>
      <span role="cell" class="number" data-label="end to end">
        {status === null ? '' : <Value of={e2eSeconds} as={seconds} />}
      </span>
      <span role="cell" class="why" title={surprise ?? reason}>
        {surprise !== null && <b class="surprise">{surprise}</b>}
        {reason}
      </span>
    </div>
  );
}
