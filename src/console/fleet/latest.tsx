import type { DecisionRowJson } from '../../admin/json.ts';
import { hasFailed } from '../live/decision-list.ts';
import { clock } from '../parts/text.ts';
import { StatusChip } from '../parts/status-chip.tsx';
import { RowWay } from '../parts/way.tsx';

const shown = 6;

/** The last decisions with their reasons, and the last failure however long ago. */
export function Latest({ rows }: { rows: readonly DecisionRowJson[] }) {
  const latest = rows.slice(-shown).reverse();
  const failure = rows.findLast(hasFailed);
  if (failure !== undefined && !latest.includes(failure)) latest.push(failure);
  return (
    <section class="latest">
      <h2>
        <a href="/decisions">Last decisions</a>
      </h2>
      {latest.length === 0 && <p class="empty">None yet. Send a request, or open the playground (5).</p>}
      <ol>
        {latest.map((row) => (
          <li key={row.id}>
            <a href={`/requests/${encodeURIComponent(row.id)}`}>
              <time>{clock(row.time)}</time>
              <RowWay row={row} />
              <StatusChip row={row} />
              <span class="reason">{row.reason}</span>
            </a>
          </li>
        ))}
      </ol>
    </section>
  );
}
