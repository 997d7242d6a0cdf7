import { XRateLimitHeadersRFCVersion } from '../../api/generated/envoy/extensions/common/ratelimit/v3/ratelimit_pb.js';
import type { HeaderValueOption } from '../../api/generated/envoy/config/core/v3/base_pb.js';
import {
  LocalRateLimitSchema,
  type LocalRateLimit,
} from '../../api/generated/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js';
import { TokenBucket } from '../../lib/token-bucket.ts';
import type { FormatContext } from '../../telemetry/access-log/access-log.ts';
import { compileHeaderValue } from '../../telemetry/access-log/format.ts';
import { sanitizeStatName, type Counter } from '../../telemetry/stats/stats.ts';
import { ConfigError, protobufConfig } from '../config-type.ts';
import type { HeaderField, Headers } from '../headers.ts';
import { ResponseFlag } from '../response-flags.ts';
import {
  Continue,
  defineHttpFilter,
  type FactoryContext,
  type HeadersVerdict,
  type HttpFilter,
  type StreamContext,
} from './filter.ts';
import { tokenBucketOptions } from '../token-bucket-options.ts';
import { compileRuntimeFraction } from './runtime-fraction.ts';

const TOO_MANY_REQUESTS = 429;
const RESOURCE_EXHAUSTED = 8;

/**
 * envoy.filters.http.local_ratelimit: answers 429 to requests that come faster than a token bucket allows. Each worker
 * has buckets of its own. Limits by descriptor, connection or cluster are refused: they would be tighter than what is left.
 */
export const localRateLimit = defineHttpFilter({
  name: 'envoy.filters.http.local_ratelimit',
  config: protobufConfig(LocalRateLimitSchema),
  routeConfig: protobufConfig(LocalRateLimitSchema),
  compileRoute(config, context) {
    if (config.tokenBucket === undefined)
      throw new ConfigError('local rate limit token bucket must be set for per filter configs');
    return new RateLimit(config, context);
  },
  create(config, context) {
    const own = new RateLimit(config, context);
    return (stream: StreamContext<RateLimit>) => new LocalRateLimitFilter(stream.routeConfig ?? own, stream);
  },
});

type Format = (context: FormatContext) => HeaderField;

class RateLimit {
  readonly bucket: TokenBucket | undefined = undefined;
  /** `enable_x_ratelimit_headers`. */
  readonly tellsLimit: boolean;
  readonly status: number;
  readonly grpcStatus: number | undefined;
  readonly isEnabled: () => boolean;
  readonly isEnforced: () => boolean;
  readonly responseHeaders: readonly Format[];
  readonly enabled: Counter;
  readonly ok: Counter;
  readonly limited: Counter;
  readonly enforced: Counter;

  constructor(config: LocalRateLimit, context: FactoryContext) {
    refuse(config);
    if (config.requestHeadersToAddWhenNotEnforced.length > 0)
      context.unsupported?.('request_headers_to_add_when_not_enforced');
    if (config.tokenBucket !== undefined)
      this.bucket = new TokenBucket(context.clock, tokenBucketOptions(config.tokenBucket));
    this.tellsLimit = config.enableXRatelimitHeaders === XRateLimitHeadersRFCVersion.DRAFT_VERSION_03;
    const code = config.status?.code ?? 0;
    // Only errors are answers here.
    this.status = code < 400 ? TOO_MANY_REQUESTS : code;
    this.grpcStatus = config.rateLimitedAsResourceExhausted ? RESOURCE_EXHAUSTED : undefined;
    this.isEnabled = compileRuntimeFraction(config.filterEnabled, false, context);
    this.isEnforced = compileRuntimeFraction(config.filterEnforced, false, context);
    this.responseHeaders = config.responseHeadersToAdd.map((option, i) =>
      compileHeader(option, `response_headers_to_add[${i}]`),
    );
    const scope = `${sanitizeStatName(config.statPrefix)}.http_local_rate_limit.`;
    const counter = (name: string): Counter => context.rootStats.counter(`${scope}${name}`);
    this.enabled = counter('enabled');
    this.ok = counter('ok');
    this.limited = counter('rate_limited');
    this.enforced = counter('enforced');
  }
}

/** What would limit more than the one bucket does. */
function refuse(config: LocalRateLimit): void {
  if (config.descriptors.length > 0)
    throw new ConfigError('unsupported: rate limit descriptors are not implemented', 'descriptors');
  if (config.localRateLimitPerDownstreamConnection)
    throw new ConfigError('unsupported: it is not implemented', 'local_rate_limit_per_downstream_connection');
  if (config.localClusterRateLimit !== undefined)
    throw new ConfigError('unsupported: it is not implemented', 'local_cluster_rate_limit');
}

function compileHeader({ header }: HeaderValueOption, path: string): Format {
  const name = (header?.key ?? '').toLowerCase();
  try {
    const value = compileHeaderValue(header?.value ?? '');
    return (context) => [name, value.literal ?? value.format(context)];
  } catch (error) {
    throw new ConfigError(error instanceof Error ? error.message : String(error), `${path}.header.value`);
  }
}

class LocalRateLimitFilter implements HttpFilter {
  readonly #limit: RateLimit;
  readonly #stream: StreamContext;
  /** Of the request that was held against it. */
  #bucket: TokenBucket | undefined = undefined;

  constructor(limit: RateLimit, stream: StreamContext) {
    this.#limit = limit;
    this.#stream = stream;
  }

  onRequestHeaders(headers: Headers): HeadersVerdict {
    const { bucket, enabled, ok, limited, enforced, status, grpcStatus, responseHeaders } = this.#limit;
    if (!this.#limit.isEnabled()) return Continue;
    enabled.inc();
    this.#bucket = bucket;
    if (bucket === undefined || bucket.take()) {
      ok.inc();
      return Continue;
    }
    limited.inc();
    if (!this.#limit.isEnforced()) return Continue;
    enforced.inc();
    const { info } = this.#stream;
    info.setFlag(ResponseFlag.RL);
    const context: FormatContext = {
      info,
      requestHeaders: headers,
      responseHeaders: undefined,
      responseTrailers: undefined,
      localReplyBody: '',
      accessLogType: 'NotSet',
    };
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
    if (this.#bucket === undefined || !this.#limit.tellsLimit) return Continue;
    const { maxTokens, remaining, nextTokenMs } = this.#bucket;
    headers.append('x-ratelimit-limit', String(maxTokens));
    headers.append('x-ratelimit-remaining', String(remaining));
    headers.append('x-ratelimit-reset', String(Math.ceil(nextTokenMs / 1000)));
    return Continue;
  }
}
