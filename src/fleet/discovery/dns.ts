import { Resolver } from 'node:dns/promises';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { messageOf, SignalboxError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Discovery, FoundEndpoint } from './discovery.ts';

/** Looked at again so often; records of services that change have short lives. */
const everyMs = 5000;
const answerLimitMs = 2000;

/** What DNS is asked: the addresses of a host, or the hosts and ports of a service (`_http._tcp.pool.example`). */
type DnsName = { readonly host: string; readonly port: number } | { readonly service: string };

/** @throws SignalboxError when `text` is neither `host:port` nor a service's name. */
export function dnsNameOf(text: string): DnsName {
  if (/^_[\w-]+\._(tcp|udp)\.[\w.-]+$/.test(text)) return { service: text };
  const match = /^([A-Za-z0-9][\w.-]*):(\d{1,5})$/.exec(text);
  if (match === null || Number(match[2]) > 65535 || isIP(match[1]!) !== 0) {
    throw new SignalboxError(
      'usage',
      `--endpoint-dns ${text}: write host:port, or an SRV name such as _http._tcp.pool.example`,
    );
  }
  return { host: match[1]!, port: Number(match[2]) };
}

/**
 * The endpoints behind a name: one for each A and AAAA record, or for each target of its SRV records (RFC 2782; their
 * priorities and weights are not used, for placing is done here). Where DNS does not answer, what was there stays; a name
 * that is no more has no endpoints.
 */
export function discoverByDns(name: DnsName, log: Logger, servers?: readonly string[]): Discovery {
  const resolver = new Resolver({ timeout: answerLimitMs, tries: 2 });
  if (servers !== undefined) resolver.setServers([...servers]);
  let timer: NodeJS.Timeout | null = null;
  let seen = '';
  let failed = false;
  let tell: Parameters<Discovery['start']>[0] = () => undefined;
  const look = async (): Promise<void> => {
    try {
      const found =
        'service' in name ? await targets(resolver, name.service) : await addresses(resolver, name, servers);
      failed = false;
      found.sort((a, b) => a.name.localeCompare(b.name));
      const now = JSON.stringify(found);
      if (now === seen) return;
      seen = now;
      tell(found);
    } catch (error) {
      if (!failed) log.error(`DNS: ${messageOf(error)} (what was there before stays)`);
      failed = true;
    }
  };
  return {
    start(found) {
      tell = found;
      void look();
      timer = setInterval(() => void look(), everyMs);
      timer.unref();
    },
    reload: look,
    close() {
      if (timer !== null) clearInterval(timer);
      resolver.cancel();
    },
  };
}

async function addresses(
  resolver: Resolver,
  { host, port }: { readonly host: string; readonly port: number },
  servers: readonly string[] | undefined,
): Promise<FoundEndpoint[]> {
  let found = await recordsOf(resolver, host);
  // Names of /etc/hosts are not DNS's, but users' all the same.
  if (found.length === 0 && servers === undefined) {
    found = (await lookup(host, { all: true }).catch(orNone)).map(({ address }) => address);
  }
  return found.map((address) => endpointAt(address, port, null));
}

async function targets(resolver: Resolver, service: string): Promise<FoundEndpoint[]> {
  const records = await resolver.resolveSrv(service).catch(orNone);
  const each = await Promise.all(
    records.map(async ({ name, port }) => {
      const found = await recordsOf(resolver, name);
      return found.map((address) => endpointAt(address, port, found.length === 1 ? name : null));
    }),
  );
  return each.flat();
}

async function recordsOf(resolver: Resolver, host: string): Promise<string[]> {
  const [four, six] = await Promise.all([resolver.resolve4(host).catch(orNone), resolver.resolve6(host).catch(orNone)]);
  return [...four, ...six];
}

/** No such name, or no such record of it; anything else is a failure to answer. */
function orNone(error: NodeJS.ErrnoException): never[] {
  if (error.code === 'ENOTFOUND' || error.code === 'ENODATA') return [];
  throw error;
}

/** Named by its own name where it has one, else by its address. */
function endpointAt(address: string, port: number, host: string | null): FoundEndpoint {
  const at = `${isIP(address) === 6 ? `[${address}]` : address}:${port}`;
  return { name: host === null ? at : `${host}:${port}`, address: at, labels: {}, ready: true };
}
