/**
 * Headers by which routers talk to each other and to engines' sidecars. From a client they could steer requests to
 * addresses of its choosing, so none is ever passed on; those we need are set by us.
 */
const controlNames = new Set([
  'x-session-token',
  'x-went-into-resp-headers',
  'x-envoy-original-dst-host',
  'x-data-parallel-host-port',
  'x-data-parallel-rank',
  'x-kv-cache-source-host-port',
  'x-encoder-hosts-ports',
]);
const controlPrefixes = ['x-gateway-', 'x-llm-d-', 'x-prefiller', 'x-signalbox-'];

/** Headers that belong to one connection (RFC 9110 section 7.6.1) or that the sender's HTTP client writes itself. */
const connectionNames = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** By which clients say who they are; where we check that, they are for us alone. */
export const credentialNames = ['authorization', 'x-api-key', 'api-key'] as const;

/** Never shown to plugins, logs or the journal; nor is any that is named like these. */
const secretNames = new Set<string>([...credentialNames, 'cookie', 'set-cookie', 'proxy-authorization']);
const secretName = /(?:key|token|secret|password|credentials?|signature)$/;

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** Whether a header (lower-case name) is one by which routers talk to each other. */
export function isControl(name: string): boolean {
  // All of them begin with it, and few others do.
  if (!name.startsWith('x-')) return false;
  return controlNames.has(name) || controlPrefixes.some((prefix) => name.startsWith(prefix));
}

function namedByConnection(headers: Headers): ReadonlySet<string> | null {
  const connection = headers['connection'];
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return null;
  return new Set(
    String(connection)
      .toLowerCase()
      .split(/\s*,\s*/),
  );
}

/**
 * What of a client's headers (lower-case names) goes to an engine. `accept-encoding` is left out: answers must be
 * readable on their way, for usage and errors. So are keys that are checked here, which are no engine's business.
 */
export function requestHeaders(headers: Headers, credentialsAreOurs = false): Record<string, string | string[]> {
  const named = namedByConnection(headers);
  const kept: Record<string, string | string[]> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || connectionNames.has(name) || isControl(name)) continue;
    if (name === 'accept-encoding' || named?.has(name) === true) continue;
    kept[name] = value;
  }
  if (credentialsAreOurs) for (const name of credentialNames) delete kept[name];
  return kept;
}

/** What of an engine's headers goes to the client. `content-length` stays: the body is passed on unchanged. */
export function responseHeaders(headers: Headers): Record<string, string | string[]> {
  const named = namedByConnection(headers);
  const kept: Record<string, string | string[]> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || (connectionNames.has(name) && name !== 'content-length')) continue;
    if (isControl(name) || named?.has(name) === true) continue;
    kept[name] = value;
  }
  return kept;
}

/** What plugins may read: single values only, nothing secret, and none of HTTP/2's pseudo-headers. */
export function visibleHeaders(headers: Headers): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name in headers) {
    const value = headers[name];
    if (typeof value === 'string' && !name.startsWith(':') && !isSecret(name)) kept[name] = value;
  }
  return kept;
}

function isSecret(name: string): boolean {
  return secretNames.has(name) || secretName.test(name);
}

/** The client's own request id when it is fit to be logged and sent on, else null. */
export function saneRequestId(headers: Headers): string | null {
  const id = headers['x-request-id'];
  return typeof id === 'string' && /^[\w.:@/+=-]{1,128}$/.test(id) ? id : null;
}
