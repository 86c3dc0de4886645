import { setTimeout as sleep } from 'node:timers/promises';
import { seconds } from '../journal/text.ts';
import { AdminApi, type ShadowSummary } from './admin-api.ts';
import { print } from './print.ts';

const patienceMs = 1000;

/** How policies in shadow compare with the one that decides, a line each; none of those that were not asked yet. */
export function shadowLines({ policies }: ShadowSummary): string[] {
  return policies
    .filter(({ compared }) => compared > 0)
    .map(({ name, compared, agreed, ttftSeconds, cachedTokens }) => {
      const parts = [`in shadow, ${name} would have picked the same endpoint ${agreed} times of ${compared}`];
      if (ttftSeconds.compared > 0) {
        parts.push(
          `predicted first token after ${seconds(ttftSeconds.shadow)} instead of ${seconds(ttftSeconds.live)}`,
        );
      }
      if (cachedTokens.compared > 0) {
        const [shadow, live] = [cachedTokens.shadow, cachedTokens.live].map((mean) => Math.round(mean ?? 0));
        parts.push(`${shadow} cached tokens a request instead of ${live}`);
      }
      return parts.join('; ');
    });
}

/** Prints the same of a running gateway; nothing when it does not answer, for that is not what was asked. */
export async function printComparison(adminUrl: string): Promise<void> {
  const asked = new AdminApi(adminUrl).shadow().then(shadowLines, () => []);
  const lines = await Promise.race([asked, sleep(patienceMs, [], { ref: false })]);
  for (const line of lines) print(line);
}
