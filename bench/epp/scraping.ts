import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:http2';
import { framePrefixBytes, writeFramePrefix } from '../../src/epp/wire/grpc-frames.ts';
import { MessageWriter } from '../../src/epp/wire/protobuf.ts';
import { cpuMicros, stop } from '../lib/processes.ts';
import { startEngines, startEpp } from './processes.ts';

/** What watching many endpoints costs while none has traffic, and how old its gauges are. */
export interface Scraping {
  readonly endpoints: number;
  readonly seconds: number;
  /** Of one core. */
  readonly coreShare: number;
  readonly pagesPerSecond: number;
  /** The oldest gauge among the idle endpoints, looked at once a second. */
  readonly oldestIdleMs: number;
  /** The same of one endpoint that has traffic all the while; after its first second. */
  readonly oldestBusyMs: number;
}

const endpoints = 1000;
/** vLLM's and SGLang's server closes an idle connection after so long. */
const uvicornKeepAliveMs = 5000;

interface Listed {
  readonly gaugeAgeMs: number | null;
  readonly inFlight: number;
}

export async function measureScraping(seconds: number): Promise<Scraping> {
  const engines = await startEngines(endpoints, uvicornKeepAliveMs);
  const epp = await startEpp({
    endpoints: engines.ports.map((port) => `http://127.0.0.1:${port}`),
    flags: ['--secure-serving=false'],
  });
  const list = async (): Promise<Listed[]> =>
    (await (await fetch(`http://127.0.0.1:${epp.adminPort}/api/endpoints`)).json()) as Listed[];
  // The first round of questions is asked of all at once.
  await sleep(12_000);
  const before = { cpu: cpuMicros(epp.pid), pages: await engines.pageReads(), ms: performance.now() };
  await sleep(seconds * 1000);
  const measuredSeconds = (performance.now() - before.ms) / 1000;
  const coreShare = (cpuMicros(epp.pid) - before.cpu) / 1e6 / measuredSeconds;
  const pagesPerSecond = ((await engines.pageReads()) - before.pages) / measuredSeconds;
  let oldestIdleMs = 0;
  for (let looks = 0; looks < 12; looks++) {
    for (const { gaugeAgeMs } of await list()) oldestIdleMs = Math.max(oldestIdleMs, gaugeAgeMs ?? Infinity);
    await sleep(1000);
  }
  const oldestBusyMs = await ageWithTraffic(epp.port, list);
  await stop(epp.child);
  return { endpoints, seconds, coreShare, pagesPerSecond, oldestIdleMs, oldestBusyMs };
}

/** Requests under way at one endpoint for some seconds, through an ext_proc stream that is held open. */
async function ageWithTraffic(grpcPort: number, list: () => Promise<Listed[]>): Promise<number> {
  const session = connect(`http://127.0.0.1:${grpcPort}`);
  const stream = session.request({
    ':method': 'POST',
    ':path': '/envoy.service.ext_proc.v3.ExternalProcessor/Process',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.resume();
  stream.write(requestHeaders());
  await sleep(1000);
  let oldestMs = 0;
  for (let looks = 0; looks < 100; looks++) {
    for (const { gaugeAgeMs, inFlight } of await list()) {
      if (inFlight > 0) oldestMs = Math.max(oldestMs, gaugeAgeMs ?? Infinity);
    }
    await sleep(50);
  }
  session.destroy();
  return oldestMs;
}

/** A framed ProcessingRequest{2 request_headers{1 headers, 3 end_of_stream}}: a GET without a body. */
function requestHeaders(): Buffer {
  const writer = new MessageWriter();
  writer.begin(framePrefixBytes);
  const message = writer.open(2);
  const headers = writer.open(1);
  for (const [name, value] of [
    [':method', 'GET'],
    [':path', '/v1/anything'],
  ] as const) {
    const header = writer.open(1);
    writer.text(1, name);
    writer.text(3, value);
    writer.close(header);
  }
  writer.close(headers);
  writer.number(3, 1);
  writer.close(message);
  const bytes = writer.finish();
  writeFramePrefix(bytes, 0);
  return bytes;
}
