/** What speaks HTTP to clients and engines: our own (`http1/`), or Node's (node:http and undici). */
export const httpEngines = ['own', 'node'] as const;
export type HttpEngine = (typeof httpEngines)[number];
