import { useEffect, useRef } from 'preact/hooks';
import type { PrefixesJson } from '../../admin/json.ts';
import { EndpointName } from '../parts/endpoint-name.tsx';
import { short } from '../parts/text.ts';
import { moved, zoomed, type MapWindow } from './map-window.ts';

type Prefix = PrefixesJson['prefixes'][number];

interface Column {
  readonly prefix: Prefix;
  /** Where it lies, from 0 to 1. */
  readonly from: number;
  readonly to: number;
}

/** Side by side, as wide as they are long. */
export function columnsOf(prefixes: readonly Prefix[]): Column[] {
  const all = prefixes.reduce((sum, { tokens }) => sum + tokens, 0);
  let at = 0;
  return prefixes.map((prefix) => {
    const from = at / all;
    at += prefix.tokens;
    return { prefix, from, to: at / all };
  });
}

interface Props {
  readonly endpoints: readonly string[];
  readonly columns: readonly Column[];
  readonly seen: MapWindow;
  readonly onSeen: (change: (seen: MapWindow) => MapWindow) => void;
  readonly selected: string | null;
  readonly onSelect: (id: string) => void;
}

/** A row for each endpoint, a column for each prefix: filled where it is cached, the darker the hotter. */
export function PrefixMap({ endpoints, columns, seen, onSeen, selected, onSelect }: Props) {
  const map = useRef<SVGSVGElement>(null);
  const drag = useRef<{ x: number; hasMoved: boolean } | null>(null);
  useEffect(() => {
    const element = map.current!;
    const zoom = (event: WheelEvent): void => {
      // A page that scrolls keeps scrolling; the map is zoomed sideways or with a key held.
      if (!event.ctrlKey && !event.shiftKey && Math.abs(event.deltaX) <= Math.abs(event.deltaY)) return;
      event.preventDefault();
      const { left, width } = element.getBoundingClientRect();
      const part = (event.clientX - left) / width;
      if (event.ctrlKey || event.shiftKey) {
        const factor = Math.exp(-(event.deltaY || event.deltaX) / 300);
        onSeen((now) => zoomed(now, factor, now.from + part * (now.to - now.from)));
      } else onSeen((now) => moved(now, (event.deltaX / width) * (now.to - now.from)));
    };
    element.addEventListener('wheel', zoom, { passive: false });
    return () => element.removeEventListener('wheel', zoom);
  }, []);
  const most = Math.max(1e-9, ...columns.map(({ prefix }) => prefix.heat));
  const span = seen.to - seen.from;
  const inSight = columns.filter(({ from, to }) => to > seen.from && from < seen.to);
  return (
    <div class={`map${endpoints.length > 16 ? ' dense' : ''}`}>
      <ul>
        {endpoints.map((name) => (
          <li key={name}>
            <EndpointName name={name} />
          </li>
        ))}
      </ul>
      <svg
        ref={map}
        viewBox={`0 0 1000 ${endpoints.length}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${columns.length} prefixes on ${endpoints.length} endpoints`}
        onPointerDown={(event) => {
          drag.current = { x: event.clientX, hasMoved: false };
        }}
        onPointerMove={({ clientX, buttons }) => {
          if (drag.current === null || buttons === 0) return;
          const by = drag.current.x - clientX;
          if (!drag.current.hasMoved && Math.abs(by) < 4) return;
          drag.current = { x: clientX, hasMoved: true };
          onSeen((now) => moved(now, (by / map.current!.clientWidth) * (now.to - now.from)));
        }}
      >
        <defs>
          <pattern id="slower" width="8" height="1" patternUnits="userSpaceOnUse">
            <rect width="4" height="1" />
          </pattern>
        </defs>
        {endpoints.map((name, row) => (
          <rect key={name} class={row % 2 === 0 ? 'even' : 'odd'} x="0" y={row} width="1000" height="1" />
        ))}
        {inSight.map(({ prefix, from, to }) => {
          const x = (1000 * (from - seen.from)) / span;
          const width = Math.max(0.6, (1000 * (to - from)) / span);
          const opacity = 0.25 + 0.75 * Math.sqrt(prefix.heat / most);
          return (
            <g
              key={prefix.id}
              class={prefix.id === selected ? 'chosen' : ''}
              data-prefix={prefix.id}
              onClick={() => drag.current?.hasMoved !== true && onSelect(prefix.id)}
            >
              <title>{`${short(prefix.tokens)} tokens, heat ${prefix.heat.toFixed(1)}, on ${prefix.endpoints.length}`}</title>
              <rect class="column" x={x} y="0" width={width} height={endpoints.length} />
              {prefix.endpoints.map(({ name, tier }) => {
                const row = endpoints.indexOf(name);
                if (row < 0) return null;
                return (
                  <rect
                    key={name}
                    class={`cell ${tier}`}
                    x={x}
                    y={row + 0.08}
                    width={width}
                    height="0.84"
                    opacity={opacity}
                  />
                );
              })}
            </g>
          );
        })}
      </svg>
    </div>
  );
}
