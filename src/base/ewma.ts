/** Exponentially weighted mean: each sample moves it by `share` of the difference. NaN until the first sample. */
export function ewma(mean: number, sample: number, share: number): number {
  return Number.isNaN(mean) ? sample : mean + share * (sample - mean);
}
