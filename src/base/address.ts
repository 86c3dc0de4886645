/** The host in `host:port`, IPv6 without its brackets. */
export function hostOf(address: string): string {
  return address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}

/** `host:port`, IPv6 in brackets. */
export function addressOf(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The one way to write an address, so that two can be compared; null when the text is not `host:port` and nothing else. */
export function canonicalAddress(text: string): string | null {
  const parts = /^(\[[0-9a-fA-F:.]+\]|[\w.-]+):(\d{1,5})$/.exec(text.trim());
  const url = parts === null ? null : URL.parse(`http://${parts[1]}:${parts[2]}/`);
  // A URL leaves its scheme's own port out.
  return url === null || url.username !== '' ? null : `${url.hostname}:${url.port === '' ? '80' : url.port}`;
}

/** Whether only this machine can reach what listens there. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^(::ffff:)?127\.\d+\.\d+\.\d+$/.test(host);
}
