export interface Scraping {
  readonly share: number;
}
export async function measureScraping(seconds: number): Promise<Scraping> {
  await Promise.resolve(seconds);
  return { share: 0 };
}
