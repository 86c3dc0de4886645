import { messageOf } from '../../base/errors.ts';
import type { DecisionJson } from '../../journal/decision-schema.ts';
import type { EndpointJson } from '../../admin/json.ts';
import type { AdminApi, ShadowSummary } from '../admin-api.ts';

/** Decisions kept, which shares are taken over. */
const kept = 200;

/** What `top` shows: the endpoints now, and the last decisions, newest first. */
export interface Snapshot {
  readonly url: string;
  readonly epochMs: number;
  readonly endpoints: readonly EndpointJson[];
  readonly decisions: readonly DecisionJson[];
  readonly shadow: ShadowSummary;
  /** Why what is shown is not fresh; null when it is. */
  readonly error: string | null;
}

/** Follows the admin API, asking at each poll only for what is new or has not ended. */
export class Feed {
  readonly #api: AdminApi;
  #endpoints: readonly EndpointJson[] = [];
  /** Oldest first. */
  #decisions: readonly DecisionJson[] = [];
  #shadow: ShadowSummary = { policies: [] };
  #error: string | null = null;

  constructor(api: AdminApi) {
    this.#api = api;
  }

  get snapshot(): Snapshot {
    const decisions = this.#decisions.toReversed();
    return {
      url: this.#api.url,
      epochMs: Date.now(),
      endpoints: this.#endpoints,
      decisions,
      shadow: this.#shadow,
      error: this.#error,
    };
  }

  /** Rejects when the admin API gives no answer; the snapshot then keeps what it had and says why. */
  async poll(): Promise<void> {
    try {
      [this.#endpoints, this.#decisions, this.#shadow] = await Promise.all([
        this.#api.endpoints(),
        this.#newDecisions(),
        this.#api.shadow(),
      ]);
      this.#error = null;
    } catch (error) {
      this.#error = messageOf(error);
      throw error;
    }
  }

  async #newDecisions(): Promise<DecisionJson[]> {
    const known = this.#decisions;
    const open = known.findIndex(({ outcome }) => outcome === null);
    const last = known[(open < 0 ? known.length : open) - 1];
    if (last !== undefined) {
      const news = await this.#api.decisions(kept, last.id);
      const ids = new Set(news.map(({ id }) => id));
      // A full page may end long before now.
      if (news.length < kept) return [...known.filter(({ id }) => !ids.has(id)), ...news].slice(-kept);
    }
    return (await this.#api.decisions(kept)).reverse();
  }
}
