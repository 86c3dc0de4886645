import type { MessagePort } from 'node:worker_threads';
import type { Lead, Observed } from '../../door/core.ts';
import type { WorkerPlace } from '../../door/worker-place.ts';
import type { ConnectorName } from '../../disaggregation/connectors/index.ts';
import type { ServingOptions } from '../serving.ts';

/** What a thread is started with. */
export interface WorkerStart {
  readonly options: ServingOptions & { readonly place: WorkerPlace };
  readonly connector: ConnectorName | null;
  readonly port: number;
  readonly descriptor: number | null;
  /** Nobody is to be turned away by a thread that knows of no endpoint yet. */
  readonly waitUntilReady: boolean;
}

/** What the first thread tells another one. */
export type ToWorker =
  | { readonly what: 'lead'; readonly lead: Lead }
  | { readonly what: 'reload' }
  | { readonly what: 'drain'; readonly graceMs: number }
  /** Somebody asks for its admin API, by HTTP over this port. */
  | { readonly what: 'admin'; readonly port: MessagePort };

/** What it tells the first one. */
export type FromWorker =
  | { readonly what: 'listening'; readonly port: number; readonly descriptor: number }
  /** It cannot serve. */
  | { readonly what: 'failed'; readonly reason: string }
  | { readonly what: 'observed'; readonly observed: Observed }
  /** A line of its log, as JSON. */
  | { readonly what: 'log'; readonly line: string };
