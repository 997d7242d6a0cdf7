import type { RuntimeReader } from '../../filters/http/filter.ts';
import type { Connection } from '../connection/connection.ts';

/** Runtime key of the most handshakes that one worker has under way. */
const KEY = 'outrigger.max_pending_handshakes';
const DEFAULT_LIMIT = 4096;
/** A handshake that is older has had its chance, and makes room for a new one. */
const FAIR_MS = 1000;

/**
 * The TLS handshakes under way on one worker, bounded: each costs some 50 KB until it is done, and Envoy's own limit,
 * `transport_socket_connect_timeout`, is off by default. At the limit a new connection takes the place of the oldest if
 * that one has been at it for a second, else it is refused: so neither peers that never finish nor a storm of good ones
 * keep all others out.
 */
export class PendingHandshakes {
  readonly #runtime: RuntimeReader;
  /** Oldest first. */
  readonly #pending = new Set<Connection>();

  constructor(runtime: RuntimeReader) {
    this.#runtime = runtime;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** Makes room for one more. False: there is none. */
  admit(nowMs: number): boolean {
    if (this.#pending.size < this.#runtime.getNumber(KEY, DEFAULT_LIMIT)) return true;
    const [oldest] = this.#pending;
    if (oldest === undefined || nowMs - oldest.info.startMs < FAIR_MS) return false;
    this.#pending.delete(oldest);
    oldest.info.transportFailureReason = 'too many pending handshakes';
    oldest.close('abort', 'too many pending handshakes');
    return true;
  }

  add(connection: Connection): void {
    this.#pending.add(connection);
  }

  /** It is done, or gone. Harmless otherwise. */
  delete(connection: Connection): void {
    this.#pending.delete(connection);
  }
}
