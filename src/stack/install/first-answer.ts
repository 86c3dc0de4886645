import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { SignalboxError } from '../../base/errors.ts';
import type { ClusterTools } from './tools.ts';

const lookMs = 1000;

/** Waits until the gateway has answered a completion. @throws SignalboxError that says what is not ready, and why */
export async function firstAnswer(
  tools: ClusterTools,
  {
    namespace,
    model,
    gateway,
    waitSeconds,
  }: { namespace: string; model: string; gateway: string; waitSeconds: number },
): Promise<void> {
  const end = Date.now() + waitSeconds * 1000;
  while (Date.now() < end) {
    if (await answers(tools, namespace, gateway, model)) return;
    await sleep(lookMs);
  }
  const why = [
    'get',
    'modelservices',
    '-n',
    namespace,
    '-o',
    'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].message}',
  ];
  const said = await tools.run('kubectl', why).catch(() => '');
  const what = said === '' ? 'look at: kubectl get pods -n ' + namespace : said;
  throw new SignalboxError('environment', `no answer within ${waitSeconds} s: ${what}`);
}

/** One request through a forwarded port, which reaches the gateway wherever the cluster is. */
async function answers(tools: ClusterTools, namespace: string, gateway: string, model: string): Promise<boolean> {
  const child = spawn('kubectl', ['port-forward', '-n', namespace, gateway, ':80'], {
    env: tools.environment,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    const port = await new Promise<string | null>((resolve) => {
      let said = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        const match = /127\.0\.0\.1:(\d+) ->/.exec(said);
        if (match !== null) resolve(match[1]!);
      });
      child.on('error', () => resolve(null));
      child.on('close', () => resolve(null));
    });
    if (port === null) return false;
    const response = await fetch(`http://127.0.0.1:${port}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, prompt: 'Hello', max_tokens: 1 }),
      signal: AbortSignal.timeout(60_000),
    });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  } finally {
    child.kill();
  }
}
