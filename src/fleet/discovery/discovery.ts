import type { Endpoint } from '../../scheduler/endpoint.ts';

/** An endpoint as whoever runs it tells of it. */
export interface FoundEndpoint extends Endpoint {
  /** False while it is loading or leaving: known, but given no new requests. */
  readonly ready: boolean;
}

/** A way to learn of endpoints and of their coming and going. */
export interface Discovery {
  /** Calls `found` with all that there are, at first and after every change. */
  start(found: (endpoints: readonly FoundEndpoint[]) => void): void;
  /** Looks again now, where that means anything. @throws SignalboxError when what is there does not validate. */
  reload?(): Promise<void>;
  close(): void;
}
