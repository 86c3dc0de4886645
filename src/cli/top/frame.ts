import { printable } from '../../base/printable.ts';
import type { DecisionJson } from '../../journal/decision-schema.ts';
import { number, percent, seconds, shortNames, table, type Names } from '../../journal/text.ts';
import { shadowLines } from '../shadow-lines.ts';
import type { Snapshot } from './feed.ts';
import { endpointRows, matches, matchingDecisions, requestsPerSecond, sorted, type EndpointRow } from './rows.ts';
import type { View } from './view.ts';

export interface Line {
  readonly text: string;
  readonly look?: 'title' | 'head' | 'bad' | 'selected' | 'dim';
}

interface Size {
  readonly columns: number;
  readonly rows: number;
}

const longestName = 32;

/** One picture of the whole screen: at most `rows` lines of at most `columns` characters. */
export function frame(snapshot: Snapshot, view: View, size: Size): Line[] {
  const lines = view.detail === null ? overview(snapshot, view, size.rows) : detail(snapshot, view, size.rows);
  return lines
    .slice(0, size.rows)
    .map(({ text, ...look }) => ({ text: printable(text).slice(0, size.columns), ...look }));
}

/** How many lines of a page there is room for. */
export function pageLines(rows: number): number {
  return Math.max(1, rows - 3);
}

function overview(snapshot: Snapshot, view: View, rows: number): Line[] {
  const { sort, filter } = view;
  const all = endpointRows(snapshot);
  const names = shortNames(all.map(({ name }) => name));
  const endpoints = sorted(all, sort).filter(({ name, models }) => matches([name, ...models], filter));
  const decisions = matchingDecisions(snapshot.decisions, filter);

  const inShadow = shadowLines(snapshot.shadow).slice(0, 2);
  // Title, two heads, a blank line, status and keys; endpoints get half of the rest, or more where there are few decisions.
  const room = Math.max(2, rows - 6 - inShadow.length);
  const forEndpoints = Math.min(endpoints.length, Math.max(Math.floor(room / 2), room - Math.max(1, decisions.length)));
  const forDecisions = Math.max(1, room - forEndpoints);
  const selected = decisions.findIndex(({ id }) => id === view.selected);
  const start = Math.max(0, selected - forDecisions + 1);
  const [endpointHead = '', ...endpointLines] = endpointTable(endpoints, names, sort);
  const [decisionHead = '', ...decisionLines] = decisionTable(decisions.slice(start, start + forDecisions), names);

  const hidden = endpoints.length - forEndpoints;
  const shown = hidden > 0 ? forEndpoints - 1 : forEndpoints;
  return [
    { text: titleOf(snapshot, all), look: 'title' },
    statusLine(snapshot, view, names),
    { text: endpointHead, look: 'head' },
    ...endpointLines.slice(0, shown).map((text, i): Line => (endpoints[i]!.ready ? { text } : { text, look: 'bad' })),
    ...(hidden > 0 ? [{ text: `... ${hidden + 1} more`, look: 'dim' } as const] : []),
    { text: '' },
    { text: decisionHead, look: 'head' },
    ...decisionLines.map((text, i): Line => {
      if (start + i === selected) return { text, look: 'selected' };
      return hasFailed(decisions[start + i]!) ? { text, look: 'bad' } : { text };
    }),
    ...inShadow.map((text): Line => ({ text, look: 'dim' })),
    { text: 'q quit   s sort   f filter   up/down choose   enter why', look: 'dim' },
  ];
}

function detail({ error }: Snapshot, { detail: open }: View, rows: number): Line[] {
  const { id, lines, scroll } = open!;
  const page = pageLines(rows);
  const more = (lines?.length ?? 0) > page ? `, lines ${scroll + 1} to ${Math.min(lines!.length, scroll + page)}` : '';
  return [
    { text: `why: decision ${id}${more}${error === null ? '' : `   ${error}`}`, look: 'title' },
    { text: '' },
    ...(lines ?? ['asking ...']).slice(scroll, scroll + page).map((text) => ({ text })),
    { text: 'q quit   left back   up/down scroll', look: 'dim' },
  ];
}

function titleOf(snapshot: Snapshot, rows: readonly EndpointRow[]): string {
  const inFlight = rows.reduce((sum, row) => sum + (row.inFlight ?? 0), 0);
  const ready = rows.filter((row) => row.ready).length;
  const policy = snapshot.decisions[0]?.policy.name;
  return [
    `signalbox top ${clock(snapshot.epochMs)}`,
    `${ready} of ${rows.length} endpoints ready`,
    `${inFlight} in flight`,
    `${requestsPerSecond(snapshot).toFixed(1)} requests/s`,
    ...(policy === undefined ? [] : [`policy ${policy}`]),
    snapshot.url,
  ].join('   ');
}

function statusLine({ error, decisions }: Snapshot, { filter, typing, sort }: View, { common }: Names): Line {
  if (error !== null) return { text: `not fresh: ${error}`, look: 'bad' };
  const filtering = typing ? `filter: ${filter}_   ` : filter === '' ? '' : `filter: ${filter} (esc clears)   `;
  const prefix = common === '' ? '' : `; names begin with ${common}`;
  return { text: `${filtering}sorted by ${sort}; shares of the last ${decisions.length}${prefix}`, look: 'dim' };
}

function endpointTable(rows: readonly EndpointRow[], names: Names, sort: string): string[] {
  const header = [
    'endpoint',
    'health',
    'in flight',
    'queued tok',
    'running',
    'waiting',
    'KV',
    'speed',
    'cached tok',
    'cached',
    'share',
  ];
  return table(
    header.map((title) => (title === sort || (title === 'endpoint' && sort === 'name') ? `${title}*` : title)),
    rows.map((row) => [
      shortened(names.of(row.name)),
      row.state,
      number(row.inFlight),
      number(row.queuedPrefillTokens),
      number(row.running),
      number(row.waiting),
      percent(row.kvUsage),
      row.speed === null ? '-' : `${row.speed.toFixed(2)}x`,
      number(row.cachedTokens),
      percent(row.cachedShare),
      percent(row.share),
    ]),
  );
}

function decisionTable(decisions: readonly DecisionJson[], names: Names): string[] {
  const endpointOf = ({ picked }: DecisionJson): string => (picked === null ? 'none' : shortened(names.of(picked)));
  const width = Math.max(8, ...decisions.map((decision) => endpointOf(decision).length));
  const lines = table(
    [`time      ${'endpoint'.padEnd(width)}`, 'cached/prompt', 'TTFT', 'E2E', 'status'],
    decisions.map((decision) => {
      const { time, promptTokens, predicted, outcome } = decision;
      const cached = outcome === null ? predicted.cachedTokens : outcome.cachedTokens;
      return [
        `${clock(Date.parse(time))}  ${endpointOf(decision).padEnd(width)}`,
        `${number(cached)}/${number(outcome?.promptTokens ?? promptTokens)}`,
        seconds(outcome?.ttftSeconds ?? null),
        seconds(outcome?.e2eSeconds ?? null),
        outcome === null ? '...' : String(outcome.status),
      ];
    }),
  );
  return lines.map((line, i) => `${line}  ${i === 0 ? 'why' : decisions[i - 1]!.reason}`);
}

function hasFailed({ outcome }: DecisionJson): boolean {
  return outcome !== null && outcome.status >= 400 && outcome.status !== 499;
}

/** Names differ in their ends. */
function shortened(name: string): string {
  return name.length <= longestName ? name : `~${name.slice(1 - longestName)}`;
}

function clock(epochMs: number): string {
  const date = new Date(epochMs);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
}
