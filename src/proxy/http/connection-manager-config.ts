import type { HcmModel } from '../../config/hcm-model.ts';
import type { AccessLogger } from '../../telemetry/access-log/access-log.ts';
import { HTTP_LISTENER_STATS, HTTP_STATS } from '../../telemetry/stats/http-stats.ts';
import { sanitizeStatName, type StatBlock, type StatsScope } from '../../telemetry/stats/stats.ts';
import type { Http1Settings } from '../codec/codec.ts';
import type { Http2ServerFactory, Http2Settings } from '../codec/server-codec.ts';
import { RouterConfig } from '../router/router-config.ts';
import type { RouteTable } from '../router/route.ts';
import type { WorkerContext } from '../worker-context.ts';
import type { CompiledFilter } from './compiled-filter.ts';
import type { ConnectionManager } from './connection-manager.ts';
import { LocalReplyRenderer } from './local-reply.ts';
import { HeaderNormalizer } from './normalize.ts';
import type { RouterOptions } from './request-sink.ts';

const AT = HTTP_STATS.at;
const LISTENER_AT = HTTP_LISTENER_STATS.at;
/** By the first digit of a status. */
const CLASSES = [
  undefined,
  AT.downstream_rq_1xx,
  AT.downstream_rq_2xx,
  AT.downstream_rq_3xx,
  AT.downstream_rq_4xx,
  AT.downstream_rq_5xx,
];
const LISTENER_CLASSES = [
  undefined,
  LISTENER_AT.downstream_rq_1xx,
  LISTENER_AT.downstream_rq_2xx,
  LISTENER_AT.downstream_rq_3xx,
  LISTENER_AT.downstream_rq_4xx,
  LISTENER_AT.downstream_rq_5xx,
];

/** What the connection manager says of one kind of upgrade; a route may say otherwise. */
export interface Upgrade {
  readonly enabled: boolean;
  /** In place of the connection manager's own filters. */
  readonly filters: readonly CompiledFilter[] | undefined;
}

/**
 * An HttpConnectionManager config, compiled for one worker (Envoy's ConnectionManagerConfig): everything that its
 * connections and streams share and that is resolved once.
 */
export class ConnectionManagerConfig {
  readonly model: HcmModel;
  readonly http1Settings: Http1Settings;
  /** Undefined: every connection is HTTP/1. */
  readonly createHttp2Codec: Http2ServerFactory | undefined;
  /** `http.<stat_prefix>.` */
  readonly stats: StatBlock;
  /** `listener.<address>.http.<stat_prefix>.` */
  readonly listenerStats: StatBlock;
  /** Of streams that begin now: other configs of the same filters may come (ECDS). */
  filters: readonly CompiledFilter[];
  /** The route table of now; undefined while a route configuration hasn't come. A stream asks once, when it begins. */
  readonly routes: () => RouteTable | undefined;
  readonly router: RouterConfig;
  readonly routerOptions: RouterOptions;
  readonly accessLoggers: readonly AccessLogger[];
  readonly localReplies: LocalReplyRenderer;
  readonly normalizer: HeaderNormalizer;
  /** By type, in lower case. */
  readonly upgrades: ReadonlyMap<string, Upgrade>;
  readonly connections = new Set<ConnectionManager>();
  #http2Settings: Http2Settings | undefined = undefined;

  /** `scope` is `http.<stat_prefix>.`, `listenerScope` `listener.<address>.`. */
  constructor(
    model: HcmModel,
    worker: WorkerContext,
    scope: StatsScope,
    listenerScope: StatsScope,
    filters: readonly CompiledFilter[],
    routes: () => RouteTable | undefined,
    createHttp2Codec?: Http2ServerFactory,
    upgrades: ReadonlyMap<string, Upgrade> = new Map(),
  ) {
    this.model = model;
    this.stats = scope.block(HTTP_STATS);
    this.listenerStats = listenerScope.scope(`http.${sanitizeStatName(model.statPrefix)}.`).block(HTTP_LISTENER_STATS);
    this.http1Settings = {
      ...model.http1,
      sendFullyQualifiedUrl: false,
      maxHeadersCount: model.maxHeadersCount,
      maxHeadersBytes: model.maxHeadersBytes,
    };
    this.createHttp2Codec = createHttp2Codec;
    this.filters = filters;
    this.routes = routes;
    this.routerOptions = model.router;
    this.router = new RouterConfig(worker, model.router, scope, model.schemeMatchUpstream);
    this.accessLoggers = model.accessLogs.map((log) => worker.accessLogs.create(log));
    this.localReplies = new LocalReplyRenderer(model.localReply, { ...worker, clock: worker.dispatcher.clock });
    this.normalizer = new HeaderNormalizer(model, worker, this.stats);
    this.upgrades = upgrades;
  }

  /** The same object each time for the same limit, which is the listener's. */
  http2Settings(bufferLimitBytes: number): Http2Settings {
    if (this.#http2Settings?.bufferLimitBytes !== bufferLimitBytes) {
      const { http2, maxHeadersCount, maxHeadersBytes, headersWithUnderscores, streamIdleTimeoutMs } = this.model;
      this.#http2Settings = {
        ...http2,
        maxHeadersCount,
        maxHeadersBytes,
        bufferLimitBytes,
        headersWithUnderscores,
        // As in Envoy, which takes the one for the other where nothing else is said.
        streamFlushTimeoutMs: streamIdleTimeoutMs,
      };
    }
    return this.#http2Settings;
  }

  /** Counts a response by its class. */
  chargeResponse(status: number): void {
    this.stats.inc(AT.downstream_rq_completed);
    this.listenerStats.inc(LISTENER_AT.downstream_rq_completed);
    const kind = Math.floor(status / 100);
    const offset = CLASSES[kind];
    if (offset === undefined) return;
    this.stats.inc(offset);
    this.listenerStats.inc(LISTENER_CLASSES[kind]!);
  }
}
