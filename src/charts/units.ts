/** A duration for people: `1.24 s`, `87 ms`; a dash when there is none. */
export function formatSeconds(seconds: number | null): string {
  if (seconds === null) return '–';
  if (seconds >= 100) return `${seconds.toFixed(0)} s`;
  if (seconds >= 1) return `${seconds.toFixed(2)} s`;
  const ms = seconds * 1000;
  return `${ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2)} ms`;
}

export function formatShare(share: number | null): string {
  return share === null ? '–' : `${(share * 100).toFixed(1)} %`;
}

export function formatCount(count: number): string {
  return Math.round(count).toLocaleString('en');
}
