import { Command, Option } from 'commander';
import { SignalboxError, messageOf } from '../base/errors.ts';
import type { DecisionJson } from '../journal/decision-json.ts';
import { explainTable } from '../journal/explain-table.ts';
import { adminUrl } from '../stack/registry.ts';

interface Options {
  namespace: string;
  adminUrl?: string;
  json?: boolean;
}

export function explainCommand(): Command {
  return new Command('explain')
    .description('Show why a request went where it went, and what came of it.')
    .argument('[id]', 'a decision id or a request id; "last" for the latest decision', 'last')
    .option('-n, --namespace <name>', 'namespace of the stack to ask', 'default')
    .addOption(new Option('--admin-url <url>', 'ask the admin API at this URL instead'))
    .option('--json', 'print the Decision as one JSON document')
    .action(async (id: string, options: Options) => {
      const base = options.adminUrl ?? adminUrlOf(options.namespace);
      const decision = id === 'last' ? await latest(base) : await fetchJson<DecisionJson>(decisionUrl(base, id));
      process.stdout.write(options.json ? `${JSON.stringify(decision, null, 2)}\n` : explainTable(decision));
    });
}

/** Of the stack in `namespace`; for the default one also where a gateway that was started alone listens. */
function adminUrlOf(namespace: string): string {
  const url = adminUrl(namespace);
  if (url !== null) return url;
  if (namespace === 'default') return 'http://127.0.0.1:8081';
  throw new SignalboxError('environment', `no stack runs in namespace "${namespace}"`);
}

async function latest(base: string): Promise<DecisionJson> {
  const [decision] = await fetchJson<DecisionJson[]>(new URL('/api/decisions?limit=1', base));
  if (decision === undefined) {
    throw new SignalboxError('request_invalid', 'no request has been placed yet; send one, then explain it');
  }
  return decision;
}

function decisionUrl(base: string, id: string): URL {
  return new URL(`/api/decisions/${encodeURIComponent(id)}`, base);
}

async function fetchJson<Body>(url: URL): Promise<Body> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch (error) {
    const cause = error instanceof Error ? messageOf(error.cause ?? error) : messageOf(error);
    throw new SignalboxError('environment', `no answer from the admin API at ${url.origin}: ${cause}`, {
      cause: error,
    });
  }
  const body = (await response.json().catch(() => null)) as (Body & { error?: { message?: string } }) | null;
  if (body !== null && response.ok) return body;
  throw new SignalboxError('request_invalid', body?.error?.message ?? `HTTP ${response.status} from ${url.href}`);
}
