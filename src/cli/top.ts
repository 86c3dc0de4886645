import { Command, Option } from 'commander';
import { SignalboxError, messageOf } from '../base/errors.ts';
import { explainTable } from '../journal/explain-table.ts';
import { AdminApi } from './admin-api.ts';
import { positiveNumber } from './arguments.ts';
import { Feed } from './top/feed.ts';
import { frame, pageLines } from './top/frame.ts';
import { endpointRows, matchingDecisions } from './top/rows.ts';
import { Screen } from './top/screen.ts';
import { firstView, press, type View } from './top/view.ts';
import { print } from './print.ts';

interface Options {
  namespace: string;
  adminUrl?: string;
  interval: number;
  once?: boolean;
  json?: boolean;
}

/** Decisions in what is printed once. */
const printed = 20;

export function topCommand(): Command {
  return new Command('top')
    .description('Watch endpoints and decisions live in the terminal: q quits, s sorts, f filters, enter shows why.')
    .option('-n, --namespace <name>', 'namespace of the stack to watch', 'default')
    .addOption(new Option('--admin-url <url>', 'watch the gateway with the admin API at this URL instead'))
    .option('--interval <seconds>', 'time between looks', positiveNumber, 1)
    .option('--once', 'print one picture and end')
    .option('--json', 'print what there is to see as one JSON document and end')
    .action(async ({ namespace, adminUrl, interval, once, json }: Options) => {
      const api = AdminApi.of(namespace, adminUrl);
      const feed = new Feed(api);
      if (!once && !json && !(process.stdin.isTTY && process.stdout.isTTY)) {
        throw new SignalboxError('usage', 'top needs a terminal; --once prints one picture, --json the numbers');
      }
      await feed.poll();
      const { snapshot } = feed;
      if (json) {
        const { url, epochMs, decisions } = snapshot;
        const time = new Date(epochMs).toISOString();
        const shown = { time, url, endpoints: endpointRows(snapshot), decisions: decisions.slice(0, printed) };
        print(JSON.stringify(shown, null, 2));
      } else if (once) {
        const rows = snapshot.endpoints.length + Math.min(printed, snapshot.decisions.length) + 6;
        const size = { columns: process.stdout.columns || Number(process.env['COLUMNS']) || 160, rows };
        print(
          frame(snapshot, firstView, size)
            .slice(0, -1)
            .map(({ text }) => text.trimEnd())
            .join('\n'),
        );
      } else {
        await watch(api, feed, interval * 1000);
        // Without waiting for answers that nobody will see.
        process.exit();
      }
    });
}

/** Until somebody quits. */
async function watch(api: AdminApi, feed: Feed, intervalMs: number): Promise<void> {
  const screen = new Screen();
  let view: View = firstView;
  let timer: NodeJS.Timeout | undefined;
  let hasEnded = false;
  try {
    await new Promise<void>((resolve, reject) => {
      const paint = (): void => {
        if (!hasEnded) screen.paint(frame(feed.snapshot, view, screen.size));
      };
      const look = async (): Promise<void> => {
        // The picture says when it is not fresh.
        await feed.poll().catch(() => undefined);
        paint();
        if (!hasEnded) timer = setTimeout(() => void look().catch(reject), intervalMs);
      };
      const ended = (): void => {
        hasEnded = true;
        resolve();
      };
      const key = (pressed: Parameters<typeof press>[1]): void => {
        const ids = matchingDecisions(feed.snapshot.decisions, view.filter).map(({ id }) => id);
        const next = press(view, pressed, ids, pageLines(screen.size.rows));
        if (next === 'quit') return ended();
        const wanted = next.detail?.id !== view.detail?.id ? next.detail : null;
        view = next;
        paint();
        if (wanted === null) return;
        void detailLines(api, wanted.id)
          .then((lines) => {
            if (view.detail?.id === wanted.id) view = { ...view, detail: { ...view.detail, lines } };
            paint();
          })
          .catch(reject);
      };
      screen.open({ key, resized: paint, ended });
      void look().catch(reject);
    });
  } finally {
    hasEnded = true;
    clearTimeout(timer);
    screen.close();
  }
}

async function detailLines(api: AdminApi, id: string): Promise<string[]> {
  try {
    return explainTable(await api.decision(id))
      .trimEnd()
      .split('\n');
  } catch (error) {
    return [messageOf(error)];
  }
}
