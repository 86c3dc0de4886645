import type { UpstreamRequest } from '../proxy/upstream.ts';

/** An endpoint as the legs see it. */
export interface Target {
  readonly name: string;
  readonly address: string;
  /** The data-parallel rank behind the address that is meant, where there are several. */
  readonly rank?: number;
}

/** The two requests that one request becomes. */
export interface Handover {
  readonly prefill: UpstreamRequest;
  /**
   * What decode is sent, given prefill's answer where that comes first (`together` false). Null when prefill has nothing
   * to hand over: then decode computes the prompt itself.
   */
  decode(answer: Buffer): UpstreamRequest | null;
}

/** A protocol by which engines hand a prompt's cache to each other. */
export interface Connector {
  /** Whether both requests go out at once, to find each other; else decode waits for prefill's answer. */
  readonly together: boolean;
  /** @throws when the prefill endpoint does not say what is needed of it. */
  handover(request: UpstreamRequest, prefill: Target): Handover | Promise<Handover>;
}
