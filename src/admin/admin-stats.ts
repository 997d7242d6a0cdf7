import type { StatBlock, StatsScope } from '../telemetry/stats/stats.ts';
import { HTTP_ADMIN_STATS, HTTP_LISTENER_STATS } from '../telemetry/stats/http-stats.ts';
import { ADMIN_LISTENER_STATS, LISTENER_WORKER_STATS } from '../telemetry/stats/listener-stats.ts';

const HTTP = HTTP_ADMIN_STATS.at;
const LISTENER = ADMIN_LISTENER_STATS.at;
const WORKER = LISTENER_WORKER_STATS.at;

/** `http.admin.*` and `listener.admin.*`: what the admin server counts of itself, under Envoy's names. */
export class AdminStats {
  readonly #http: StatBlock;
  readonly #listener: StatBlock;
  readonly #worker: StatBlock;
  readonly #listenerHttp: StatBlock;

  constructor(root: StatsScope) {
    this.#http = root.block(HTTP_ADMIN_STATS, 'http.admin');
    this.#listener = root.block(ADMIN_LISTENER_STATS, 'listener.admin');
    this.#worker = root.block(LISTENER_WORKER_STATS, 'listener.admin.main_thread');
    this.#listenerHttp = root.block(HTTP_LISTENER_STATS, 'listener.admin.http.admin');
  }

  connectionOpened(): void {
    this.#listener.inc(LISTENER.downstream_cx_total);
    this.#listener.inc(LISTENER.downstream_cx_active);
    this.#worker.inc(WORKER.downstream_cx_total);
    this.#worker.inc(WORKER.downstream_cx_active);
    this.#http.inc(HTTP.downstream_cx_total);
    this.#http.inc(HTTP.downstream_cx_active);
    this.#http.inc(HTTP.downstream_cx_http1_total);
    this.#http.inc(HTTP.downstream_cx_http1_active);
  }

  connectionClosed(durationMs: number, received: number, sent: number): void {
    this.#listener.inc(LISTENER.downstream_cx_destroy);
    this.#listener.dec(LISTENER.downstream_cx_active);
    this.#listener.record(LISTENER.downstream_cx_length_ms, Math.floor(durationMs));
    this.#worker.dec(WORKER.downstream_cx_active);
    this.#http.inc(HTTP.downstream_cx_destroy);
    this.#http.inc(HTTP.downstream_cx_destroy_remote);
    this.#http.dec(HTTP.downstream_cx_active);
    this.#http.dec(HTTP.downstream_cx_http1_active);
    this.#http.add(HTTP.downstream_cx_rx_bytes_total, received);
    this.#http.add(HTTP.downstream_cx_tx_bytes_total, sent);
    this.#http.record(HTTP.downstream_cx_length_ms, Math.floor(durationMs));
  }

  requestStarted(): void {
    this.#http.inc(HTTP.downstream_rq_total);
    this.#http.inc(HTTP.downstream_rq_http1_total);
    this.#http.inc(HTTP.downstream_rq_active);
  }

  /** The status is known; the body may still have to be sent. */
  requestAnswered(status: number): void {
    const name = RESPONSES[Math.floor(status / 100) - 1];
    for (const [block, at] of [
      [this.#http, HTTP],
      [this.#listenerHttp, HTTP_LISTENER_STATS.at],
    ] as const) {
      block.inc(at.downstream_rq_completed);
      if (name !== undefined) block.inc(at[name]);
    }
  }

  requestEnded(durationMs: number): void {
    this.#http.dec(HTTP.downstream_rq_active);
    this.#http.record(HTTP.downstream_rq_time, Math.floor(durationMs));
  }
}

const RESPONSES = [
  'downstream_rq_1xx',
  'downstream_rq_2xx',
  'downstream_rq_3xx',
  'downstream_rq_4xx',
  'downstream_rq_5xx',
] as const;
