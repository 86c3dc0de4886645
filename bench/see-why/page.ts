/** A page that is open on an admin port: it listens, and asks as the console's first page does. Gives what closes it. */
export function openPage(adminUrl: string): () => void {
  const abort = new AbortController();
  const { signal } = abort;
  const ignore = (): undefined => undefined;
  fetch(`${adminUrl}/api/events`, { signal })
    .then(async ({ body }) => {
      for await (const part of body!) void part;
    })
    .catch(ignore);
  const ask = (path: string, everyMs: number): NodeJS.Timeout =>
    setInterval(() => {
      fetch(adminUrl + path, { signal })
        .then((response) => response.arrayBuffer())
        .catch(ignore);
    }, everyMs);
  const timers = [
    ...['/api/endpoints', '/api/admission', '/api/policies'].map((path) => ask(path, 1000)),
    ask('/api/series', 2000),
  ];
  return () => {
    for (const timer of timers) clearInterval(timer);
    abort.abort();
  };
}
