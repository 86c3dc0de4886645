/** A duration as people read it; to be shown only of a known one. */
export function seconds(value: number): string {
  if (value === 0) return '0 s';
  if (value >= 100) return `${value.toFixed(0)} s`;
  if (value >= 1) return `${value.toFixed(2)} s`;
  const ms = value * 1000;
  return `${ms.toFixed(ms >= 100 ? 0 : ms >= 1 ? 1 : 2)} ms`;
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}

/** 1,234 as 1.2k, where there is little room. */
export function short(value: number): string {
  if (value < 1000) return String(Number(value.toPrecision(3)));
  if (value < 1_000_000) return `${Number((value / 1000).toPrecision(3))}k`;
  return `${Number((value / 1_000_000).toPrecision(3))}M`;
}

export function share(value: number): string {
  return `${(100 * value).toFixed(value > 0 && value < 0.1 ? 1 : 0)} %`;
}

/** The time of day, by the reader's clock. */
export function clock(time: string | number): string {
  const date = new Date(time);
  const parts = [date.getHours(), date.getMinutes(), date.getSeconds()];
  return parts.map((part) => String(part).padStart(2, '0')).join(':');
}

export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const unit = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10));
  return `${Number((value / 1024 ** unit).toPrecision(3))} ${units[unit]}`;
}
