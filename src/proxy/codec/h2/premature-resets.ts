import type { RuntimeReader } from '../../../filters/http/filter.ts';

const DEFAULT_TOTAL = 500;
const DEFAULT_LIFETIME_SECONDS = 1;

/**
 * Envoy's rule against rapid resets (CVE-2023-44487): a connection of whose streams half were reset within a second or
 * so, unanswered, is closed; as soon as it is certain that half of the first `total` will have been.
 */
export class PrematureResets {
  readonly #runtime: RuntimeReader;
  #ended = 0;
  #premature = 0;

  constructor(runtime: RuntimeReader) {
    this.#runtime = runtime;
  }

  /** `wasReset`: before any response. True: enough. */
  streamEnded(wasReset: boolean, lifetimeMs: number): boolean {
    this.#ended++;
    if (!wasReset) return false;
    const runtime = this.#runtime;
    const key = 'overload.premature_reset_min_stream_lifetime_seconds';
    if (Math.floor(lifetimeMs / 1000) > runtime.getNumber(key, DEFAULT_LIFETIME_SECONDS)) return false;
    this.#premature++;
    if (!runtime.getBoolean('envoy.restart_features.send_goaway_for_premature_rst_streams', true)) return false;
    const total = runtime.getNumber('overload.premature_reset_total_stream_count', DEFAULT_TOTAL);
    return this.#premature * 2 >= Math.max(total, this.#ended);
  }
}
