import type { DecisionRowJson } from '../../admin/json.ts';
import { hasFailed } from '../live/decision-list.ts';

export function StatusChip({ row }: { row: DecisionRowJson }) {
  const { status, verdict, answering } = row;
  if (status === null) return <span class="chip open">{answering ? 'answering' : 'in flight'}</span>;
  if (verdict === 'rejected') return <span class="chip danger">rejected {status}</span>;
  if (hasFailed(row)) return <span class="chip danger">failed {status}</span>;
  if (status === 499) return <span class="chip caution">left</span>;
  return <span class="chip">{status}</span>;
}
