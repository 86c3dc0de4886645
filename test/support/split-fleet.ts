import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ConnectorName } from '../../src/disaggregation/connectors/index.ts';
import { nixlv2 } from '../../src/disaggregation/connectors/nixlv2.ts';
import type { PolicySource } from '../../src/door/policy-source.ts';
import { startSidecar } from '../../src/sidecar/sidecar.ts';
import { silent, startEngine, startTestGateway, until } from './fleet-under-test.ts';

type EngineOptions = Parameters<typeof startEngine>[1];

/** Everything longer than ten tokens is split. */
export const splitPolicy: PolicySource = {
  environment: { PD_ENABLED: 'true', PD_PROMPT_LEN_THRESHOLD: '10', PREFILL_ENABLE_LOAD_AWARE_SCORER: 'true' },
};

interface SplitFleet {
  /** `http://host:port`. */
  readonly prefill: readonly string[];
  readonly decode: readonly string[];
}

/** Simulated engines that hand caches to each other. */
export async function startSplitEngines(
  t: TestContext,
  counts: { prefill: number; decode: number },
  options: EngineOptions = {},
): Promise<SplitFleet> {
  const start = (count: number): Promise<string[]> =>
    Promise.all(Array.from({ length: count }, async () => (await startEngine(t, { kvTransfer: {}, ...options })).url));
  return { prefill: await start(counts.prefill), decode: await start(counts.decode) };
}

/** A gateway over the fleet that sends both legs itself. */
export function startSplittingGateway(
  t: TestContext,
  { prefill, decode }: SplitFleet,
  connector: ConnectorName = 'nixlv2',
): ReturnType<typeof startTestGateway> {
  return startTestGateway(t, decode, { prefillEndpoints: prefill, connector, policy: splitPolicy });
}

/** A gateway over the fleet with a sidecar in front of each decode engine. */
export async function startGatewayBeforeSidecars(
  t: TestContext,
  { prefill, decode }: SplitFleet,
): ReturnType<typeof startTestGateway> {
  const prefillEndpoints = prefill.map(addressOf);
  const sidecars: string[] = [];
  for (const url of decode) {
    const enginePort = Number(new URL(url).port);
    const sidecar = await startSidecar({
      port: 0,
      enginePort,
      connector: nixlv2,
      pool: { prefillEndpoints },
      log: silent,
    });
    t.after(() => sidecar.close(0));
    sidecars.push(`127.0.0.1:${sidecar.port}`);
  }
  const endpointsFile = join(mkdtempSync(join(tmpdir(), 'signalbox-split-')), 'endpoints.json');
  const listed = [
    ...sidecars.map((address, index) => ({ name: `decode-${index}`, address, role: 'decode' })),
    ...prefillEndpoints.map((address, index) => ({ name: `prefill-${index}`, address, role: 'prefill' })),
  ];
  const endpoints = listed.map(({ role, ...endpoint }) => ({ ...endpoint, labels: { 'llm-d.ai/role': role } }));
  writeFileSync(endpointsFile, JSON.stringify({ endpoints }));
  const gateway = await startTestGateway(t, [], { endpointsFile, policy: splitPolicy });
  await until(async () => {
    const known = (await (await fetch(`${gateway.adminUrl}/api/endpoints`)).json()) as { ready: boolean }[];
    return known.length === listed.length && known.every(({ ready }) => ready);
  });
  return gateway;
}

export function addressOf(url: string): string {
  return new URL(url).host;
}

/** Caches kept at an engine for others. */
export async function leasesAt(url: string): Promise<number> {
  const answer = await fetch(`${url}/sim/kv-transfer`);
  return ((await answer.json()) as { leases: number }).leases;
}

export async function metricAt(url: string, series: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text.split('\n').find((each) => each.startsWith(series));
  return Number(line?.split(' ').at(-1));
}

/** What was said, of an answer or a stream. */
export function said(body: string): string {
  const events = body.startsWith('data:') ? body.split('\n\n').filter((each) => each.startsWith('data: {')) : [body];
  return events
    .map((event) => {
      const { choices } = JSON.parse(event.replace(/^data: /, '')) as {
        choices: { text?: string; delta?: { content?: string }; message?: { content: string } }[];
      };
      return choices[0]?.text ?? choices[0]?.delta?.content ?? choices[0]?.message?.content ?? '';
    })
    .join('');
}

export const transferred =
  'vllm:prompt_tokens_by_source_total{engine="0",model_name="toy/model",source="external_kv_transfer"}';
