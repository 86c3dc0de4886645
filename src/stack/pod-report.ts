import type { PodState } from './state.ts';

/** A pod as `get pods --json` shows it. */
interface PodReport {
  readonly name: string;
  /** Ready containers of all, e.g. `2/2`. */
  readonly ready: string;
  readonly status: string;
  readonly restarts: number;
  readonly ageSeconds: number;
  readonly labels: Readonly<Record<string, string>>;
  /** The pod in whose process this one lives, or null. */
  readonly hostedBy: string | null;
  readonly containers: readonly {
    readonly name: string;
    readonly ready: boolean;
    readonly port: number | null;
    readonly pid: number | null;
  }[];
}

export function podReport(pod: PodState, nowEpochMs: number): PodReport {
  const { containers } = pod;
  return {
    name: pod.name,
    ready: `${containers.filter(({ ready }) => ready).length}/${containers.length}`,
    status: pod.status,
    restarts: containers.reduce((sum, { restarts }) => sum + restarts, 0),
    ageSeconds: Math.max(0, Math.floor((nowEpochMs - pod.createdAtMs) / 1000)),
    labels: pod.labels,
    hostedBy: pod.hostedBy,
    containers: containers.map(({ name, ready, port, process }) => ({ name, ready, port, pid: process?.pid ?? null })),
  };
}

/** As `kubectl get pods` prints them. */
export function podTable(pods: readonly PodReport[]): string {
  const rows = [
    ['NAME', 'READY', 'STATUS', 'RESTARTS', 'AGE'],
    ...pods.map((pod) => [pod.name, pod.ready, pod.status, String(pod.restarts), age(pod.ageSeconds)]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('   ')
        .trimEnd(),
    )
    .join('\n');
}

/** A duration as kubectl words it: 67s, 5m30s, 42m, 3h5m, 30h, 4d2h, 20d. */
export function age(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  if (seconds < 120) return `${seconds}s`;
  if (minutes < 10) return joined(minutes, 'm', seconds % 60, 's');
  if (hours < 3) return `${minutes}m`;
  if (hours < 8) return joined(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  if (days < 8) return joined(days, 'd', hours % 24, 'h');
  return `${days}d`;
}

function joined(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return `${large}${largeUnit}${small === 0 ? '' : `${small}${smallUnit}`}`;
}
