import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { Command, Option } from 'commander';
import { SignalboxError, messageOf } from '../base/errors.ts';
import type { DecisionJson } from '../journal/decision-schema.ts';
import { explainTable } from '../journal/explain-table.ts';
import { AdminApi } from './admin-api.ts';

interface Options {
  namespace: string;
  adminUrl?: string;
  prompt?: string;
  body?: string;
  model?: string;
  json?: boolean;
}

export function explainCommand(): Command {
  return new Command('explain')
    .description('Show why a request went where it went, what would have changed that, and what came of it.')
    .argument('[id]', 'a decision id or a request id; "last", when nothing is asked, for the latest decision')
    .addOption(
      new Option(
        '--prompt <text>',
        'instead, show where a completion of this prompt would go; nothing is sent',
      ).conflicts('body'),
    )
    .option('--body <file>', 'the same for this JSON body of a completion, chat or embedding; "-" for standard input')
    .option('--model <name>', "the model asked for (default: the body's, or the first that is served)")
    .option('-n, --namespace <name>', 'namespace of the stack to ask', 'default')
    .addOption(new Option('--admin-url <url>', 'ask the admin API at this URL instead'))
    .option('--json', 'print the Decision as one JSON document')
    .action(async (id: string | undefined, options: Options) => {
      const { prompt, body, model } = options;
      const isQuestion = prompt !== undefined || body !== undefined;
      if (isQuestion && id !== undefined) {
        throw new SignalboxError(
          'usage',
          `"${id}" names a past request, --prompt and --body a new one; give one of them`,
        );
      }
      if (!isQuestion && model !== undefined) {
        throw new SignalboxError(
          'usage',
          '--model belongs to a request that is only asked about: give --prompt or --body',
        );
      }
      const api = AdminApi.of(options.namespace, options.adminUrl);
      const decision = isQuestion
        ? await api.explain(JSON.stringify(await question(api, options)))
        : await api.decision(id === undefined || id === 'last' ? await latestId(api) : id);
      const shown = options.json ? `${JSON.stringify(decision, null, 2)}\n` : explainTable(decision, !isQuestion);
      process.stdout.write(shown);
    });
}

async function latestId(api: AdminApi): Promise<DecisionJson['id']> {
  const [decision] = await api.decisions(1);
  if (decision !== undefined) return decision.id;
  throw new SignalboxError('request_invalid', 'no request has been placed yet; send one, then explain it');
}

/** The body to ask about, with a model in it. */
async function question(api: AdminApi, { prompt, body, model }: Options): Promise<object> {
  const fields = body === undefined ? { prompt } : await bodyFrom(body);
  if (model !== undefined) return { ...fields, model };
  if ('model' in fields) return fields;
  const endpoints = await api.endpoints();
  const [first] = endpoints.flatMap(({ ready, models }) => (ready ? models : [])).sort();
  if (first === undefined) throw new SignalboxError('no_endpoint', 'no endpoint is ready, so no model is served');
  return { ...fields, model: first };
}

async function bodyFrom(file: string): Promise<object> {
  const name = file === '-' ? 'standard input' : file;
  let body: unknown;
  try {
    body = JSON.parse(file === '-' ? await text(process.stdin) : await readFile(file, 'utf8'));
  } catch (error) {
    throw new SignalboxError('body_malformed', `${name}: ${messageOf(error)}`, { cause: error });
  }
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body;
  throw new SignalboxError('body_malformed', `${name} is not a JSON object with the fields of a request`);
}
