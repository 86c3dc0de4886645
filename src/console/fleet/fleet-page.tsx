import { useMemo, useState } from 'preact/hooks';
import { useShortcuts } from '../keys.ts';
import { useFeed } from '../live/use-feed.ts';
import { Latest } from './latest.tsx';
import { PoolCharts } from './pool-charts.tsx';
import { PoolTotals } from './pool-totals.tsx';
import { endpointOrders, sortedEndpoints, type EndpointOrder } from './order.ts';
import { Waiting } from './waiting.tsx';
import { Yard } from './yard.tsx';

export function FleetPage() {
  const { endpoints, admission, decisions } = useFeed();
  const [order, setOrder] = useState<EndpointOrder>('name');
  const next = (): void => setOrder(endpointOrders[(endpointOrders.indexOf(order) + 1) % endpointOrders.length]!);
  useShortcuts([{ keys: ['s'], does: 'sort the endpoints by the next column', run: next }]);
  // They ask for themselves, and are not drawn anew with every decision.
  const charts = useMemo(() => <PoolCharts />, []);
  if (endpoints === null) return <p class="empty">Asking the gateway …</p>;
  return (
    <>
      <h1 class="hidden">Fleet</h1>
      <PoolTotals endpoints={endpoints} admission={admission} rows={decisions.rows} />
      {endpoints.length === 0 ? (
        <p class="empty">No endpoint is known. The gateway was told of none, or its endpoints file lists none.</p>
      ) : (
        <Yard
          endpoints={sortedEndpoints(endpoints, order)}
          held={admission?.held ?? null}
          order={order}
          onOrder={setOrder}
        />
      )}
      {admission !== null && <Waiting admission={admission} />}
      <Latest rows={decisions.rows} />
      {charts}
    </>
  );
}
