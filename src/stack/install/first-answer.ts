import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { SignalboxError } from '../../base/errors.ts';
import { gatewayName } from './names.ts';
import type { ClusterTools } from './tools.ts';

const lookMs = 1000;
const answerLimitMs = 60_000;

interface Asked {
  readonly namespace: string;
  readonly model: string;
  /** A Gateway's address is in its status; an own gateway is a Service. */
  readonly isClass: boolean;
  readonly waitSeconds: number;
}

/** Waits until the gateway has answered a completion. @throws SignalboxError that says what is not ready, and why */
export async function firstAnswer(tools: ClusterTools, asked: Asked): Promise<void> {
  const { namespace, isClass, waitSeconds } = asked;
  const end = Date.now() + waitSeconds * 1000;
  while (Date.now() < end) {
    if (await (isClass ? answersAtAddress(tools, asked) : answersAtService(tools, asked))) return;
    await sleep(lookMs);
  }
  const why = [
    ...['get', 'modelservices', '-n', namespace],
    ...['-o', 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].message}'],
  ];
  const said = await tools.run('kubectl', why).catch(() => '');
  const what = said === '' ? 'look at: kubectl get pods -n ' + namespace : said;
  throw new SignalboxError('environment', `no answer within ${waitSeconds} s: ${what}`);
}

/** One request through a forwarded port, which reaches the gateway wherever the cluster is. */
async function answersAtService(tools: ClusterTools, { namespace, model }: Asked): Promise<boolean> {
  const child = spawn('kubectl', ['port-forward', '-n', namespace, `svc/${gatewayName}`, ':80'], {
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
    return port !== null && (await answers(`http://127.0.0.1:${port}`, model));
  } finally {
    child.kill();
  }
}

/** One request to where a Gateway's controller says that it listens; from a pod where that is not reached from here. */
async function answersAtAddress(tools: ClusterTools, { namespace, model }: Asked): Promise<boolean> {
  const from = ['get', 'gateway', gatewayName, '-n', namespace, '-o'];
  const path = 'jsonpath={.status.addresses[0].value} {.spec.listeners[0].port}';
  const [address = '', port] = (await tools.run('kubectl', [...from, path]).catch(() => '')).split(' ');
  if (address === '') return false;
  const url = `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
  if (await answers(url, model)) return true;
  const pods = ['get', 'pods', '-n', namespace, '-l', 'llm-d.ai/epp', '-o', 'name'];
  const [pod = ''] = (await tools.run('kubectl', pods).catch(() => '')).split('\n');
  const script = `fetch(${JSON.stringify(`${url}/v1/completions`)}, ${JSON.stringify(completion(model))}).then(({ ok }) => process.exit(ok ? 0 : 1))`;
  return pod !== '' && tools.succeeds('kubectl', ['exec', '-n', namespace, pod, '--', 'node', '-e', script]);
}

async function answers(url: string, model: string): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(answerLimitMs);
    const response = await fetch(`${url}/v1/completions`, { ...completion(model), signal });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

function completion(model: string): { method: string; headers: Record<string, string>; body: string } {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, prompt: 'Hello', max_tokens: 1 }),
  };
}
