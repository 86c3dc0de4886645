import type { DecisionRowJson } from '../../admin/json.ts';
import { EndpointName } from './endpoint-name.tsx';

/** Where a request goes: to one endpoint, or first to the one that computes its prompt. */
export function Way({ prefill, endpoint, none }: { prefill: string | null; endpoint: string | null; none: string }) {
  if (prefill === null) return <EndpointName name={endpoint} none={none} />;
  return (
    <span class="way">
      <EndpointName name={prefill} />
      <i>→</i>
      <EndpointName name={endpoint} none={none} />
    </span>
  );
}

export function RowWay({ row }: { row: DecisionRowJson }) {
  return <Way prefill={row.prefill} endpoint={row.endpoint ?? row.picked} none="nowhere" />;
}
