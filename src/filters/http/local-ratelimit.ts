import { LocalRateLimitSchema } from '../../api/generated/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js';
import type { TokenBucket } from '../../lib/token-bucket.ts';
import type { FormatContext } from '../../telemetry/access-log/access-log.ts';
import { ConfigError, protobufConfig } from '../config-type.ts';
import type { Headers } from '../headers.ts';
import { ResponseFlag } from '../response-flags.ts';
import type { ConnectionInfo } from '../stream-info.ts';
import {
  Continue,
  defineHttpFilter,
  type HeadersVerdict,
  type HttpFilter,
  type RateLimitDescriptor,
  type StreamContext,
} from './filter.ts';
import { RateLimitSettings, STATS } from './local-ratelimit/rate-limit-settings.ts';
import type { RateLimiter } from './local-ratelimit/rate-limiter.ts';

const NO_DESCRIPTORS: readonly RateLimitDescriptor[] = [];

/**
 * envoy.filters.http.local_ratelimit: answers 429 to requests that come faster than token buckets allow: one for all, and
 * one for each descriptor that its own `rate_limits`, or those of routes and virtual hosts, make of requests. Each worker
 * has buckets of its own.
 */
export const localRateLimit = defineHttpFilter({
  name: 'envoy.filters.http.local_ratelimit',
  config: protobufConfig(LocalRateLimitSchema),
  routeConfig: protobufConfig(LocalRateLimitSchema),
  compileRoute(config, context) {
    if (config.tokenBucket === undefined)
      throw new ConfigError('local rate limit token bucket must be set for per filter configs');
    return new RateLimitSettings(config, context);
  },
  create(config, context) {
    const own = new RateLimitSettings(config, context);
    const ofConnections = new WeakMap<ConnectionInfo, RateLimiter>();
    return (stream: StreamContext<RateLimitSettings>) => new LocalRateLimitFilter(own, stream, ofConnections);
  },
});

class LocalRateLimitFilter implements HttpFilter {
  #settings: RateLimitSettings;
  readonly #stream: StreamContext<RateLimitSettings>;
  readonly #ofConnections: WeakMap<ConnectionInfo, RateLimiter>;
  /** Which decided on the request. */
  #bucket: TokenBucket | undefined = undefined;

  constructor(
    own: RateLimitSettings,
    stream: StreamContext<RateLimitSettings>,
    ofConnections: WeakMap<ConnectionInfo, RateLimiter>,
  ) {
    this.#settings = own;
    this.#stream = stream;
    this.#ofConnections = ofConnections;
  }

  onRequestHeaders(headers: Headers): HeadersVerdict {
    this.#settings = this.#stream.routeConfig ?? this.#settings;
    const { stats, status, grpcStatus, responseHeaders, requestHeaders } = this.#settings;
    if (!this.#settings.isEnabled()) return Continue;
    stats.inc(STATS.at.enabled);
    const { allowed, bucket } = this.#limiter.take(this.#describe(headers));
    this.#bucket = bucket;
    if (allowed) {
      stats.inc(STATS.at.ok);
      return Continue;
    }
    stats.inc(STATS.at.rate_limited);
    if (!this.#settings.isEnforced()) {
      if (requestHeaders.length > 0) {
        const context = this.#context(headers);
        for (const mutate of requestHeaders) mutate(headers, context);
      }
      return Continue;
    }
    stats.inc(STATS.at.enforced);
    this.#stream.info.setFlag(ResponseFlag.RL);
    const context = this.#context(headers);
    return {
      status,
      body: 'local_rate_limited',
      headers: responseHeaders.map((format) => format(context)),
      details: 'local_rate_limited',
      ...(grpcStatus !== undefined && { grpcStatus }),
    };
  }

  /** https://datatracker.ietf.org/doc/html/draft-polli-ratelimit-headers-03 */
  onResponseHeaders(headers: Headers): HeadersVerdict {
    if (this.#bucket === undefined || !this.#settings.tellsLimit) return Continue;
    const { maxTokens, remaining, nextTokenMs } = this.#bucket;
    headers.append('x-ratelimit-limit', String(maxTokens));
    headers.append('x-ratelimit-remaining', String(remaining));
    headers.append('x-ratelimit-reset', String(Math.ceil(nextTokenMs / 1000)));
    return Continue;
  }

  #describe(headers: Headers): readonly RateLimitDescriptor[] {
    const { selection, embedded, sourceCluster } = this.#settings;
    if (selection === undefined) return NO_DESCRIPTORS;
    if (embedded === undefined) return this.#stream.rateLimitDescriptors(selection, headers);
    const descriptors: RateLimitDescriptor[] = [];
    const { info, clusterName, routeMetadata } = this.#stream;
    embedded.describe(0, { headers, info, sourceCluster, destinationCluster: clusterName, routeMetadata }, descriptors);
    return descriptors;
  }

  /** A connection keeps the limiter that its first request made, as in Envoy, whatever later routes say. */
  get #limiter(): RateLimiter {
    if (!this.#settings.isPerConnection) return this.#settings.limiter;
    const { connection } = this.#stream.info;
    let limiter = this.#ofConnections.get(connection);
    if (limiter === undefined) this.#ofConnections.set(connection, (limiter = this.#settings.createLimiter()));
    return limiter;
  }

  #context(requestHeaders: Headers): FormatContext {
    return {
      info: this.#stream.info,
      requestHeaders,
      responseHeaders: undefined,
      responseTrailers: undefined,
      localReplyBody: '',
      accessLogType: 'NotSet',
    };
  }
}
