import {
  VhRateLimitsOptions,
  XRateLimitHeadersRFCVersion,
} from '../../../api/generated/envoy/extensions/common/ratelimit/v3/ratelimit_pb.js';
import type { HeaderValueOption } from '../../../api/generated/envoy/config/core/v3/base_pb.js';
import type { LocalRateLimit } from '../../../api/generated/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js';
import type { Clock } from '../../../lib/clock.ts';
import type { FormatContext } from '../../../telemetry/access-log/access-log.ts';
import { defineStats, sanitizeStatName, type StatBlock } from '../../../telemetry/stats/stats.ts';
import { ConfigError } from '../../config-type.ts';
import { compileFormat, compileHeaderAppend, type Mutate } from '../../header-append.ts';
import type { HeaderField } from '../../headers.ts';
import { rateLimitActions } from '../../rate-limit-config.ts';
import { RateLimitPolicy, type RateLimit } from '../../rate-limit-policy.ts';
import { tokenBucketOptions } from '../../token-bucket-options.ts';
import type { FactoryContext, RateLimitSelection } from '../filter.ts';
import { compileRuntimeFraction } from '../runtime-fraction.ts';
import { descriptorBuckets, RateLimiter, type RateLimiterOptions } from './rate-limiter.ts';

export const STATS = defineStats({ counters: ['enabled', 'ok', 'rate_limited', 'enforced'] });

const TOO_MANY_REQUESTS = 429;
const RESOURCE_EXHAUSTED = 8;

type Format = (context: FormatContext) => HeaderField;

/** One config of the filter, or of a route's override, compiled. */
export class RateLimitSettings {
  /** `enable_x_ratelimit_headers`. */
  readonly tellsLimit: boolean;
  readonly status: number;
  readonly grpcStatus: number | undefined;
  readonly isEnabled: () => boolean;
  readonly isEnforced: () => boolean;
  readonly responseHeaders: readonly Format[];
  readonly requestHeaders: readonly Mutate[];
  readonly stats: StatBlock;
  /** Undefined: it has no descriptors. */
  readonly selection: RateLimitSelection | undefined;
  /** Makes the descriptors in place of routes and virtual hosts. Undefined: they do. */
  readonly embedded: RateLimitPolicy | undefined;
  readonly sourceCluster: string;
  readonly isPerConnection: boolean;
  /** Of all connections of this worker. */
  readonly limiter: RateLimiter;
  readonly #options: RateLimiterOptions;
  readonly #clock: Clock;

  constructor(config: LocalRateLimit, context: FactoryContext) {
    if (config.localClusterRateLimit !== undefined)
      throw new ConfigError('unsupported: it is not implemented', 'local_cluster_rate_limit');
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
    this.requestHeaders = config.requestHeadersToAddWhenNotEnforced.map((option, i) =>
      compileHeaderAppend(option, `request_headers_to_add_when_not_enforced[${i}]`),
    );
    this.stats = context.rootStats.block(STATS, `${sanitizeStatName(config.statPrefix)}.http_local_rate_limit.`);
    this.selection =
      config.descriptors.length === 0
        ? undefined
        : { stage: config.stage, virtualHost: virtualHostLimits(config.vhRateLimits) };
    this.embedded = embeddedPolicy(config);
    this.sourceCluster = context.node.cluster;
    this.isPerConnection = config.localRateLimitPerDownstreamConnection;
    this.#options = {
      bucket: config.tokenBucket && tokenBucketOptions(config.tokenBucket),
      descriptors: descriptorBuckets(config.descriptors),
      alwaysTakesDefault: config.alwaysConsumeDefaultTokenBucket ?? true,
    };
    this.#clock = context.clock;
    this.limiter = this.createLimiter();
  }

  createLimiter(): RateLimiter {
    return new RateLimiter(this.#options, this.#clock);
  }
}

/** The filter's own `rate_limits`. */
function embeddedPolicy({ rateLimits }: LocalRateLimit): RateLimitPolicy | undefined {
  const models = rateLimits.map(({ stage, disableKey, limit, actions }, index): RateLimit => {
    const path = `rate_limits[${index}]`;
    if (stage !== undefined || disableKey !== '')
      throw new ConfigError("'stage' field and 'disable_key' field are not supported", path);
    if (limit !== undefined) throw new ConfigError("'limit' field is not supported", path);
    return { stage: 0, disabled: false, actions: within(path, () => rateLimitActions(actions)) };
  });
  return within('rate_limits', () => RateLimitPolicy.of(models));
}

/** What a read throws, with the path of what is read before its own. */
function within<Value>(path: string, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const own = error instanceof ConfigError ? error.path : '';
    throw new ConfigError(message, own === '' || own.startsWith('[') ? `${path}${own}` : `${path}.${own}`);
  }
}

function virtualHostLimits(option: VhRateLimitsOptions): RateLimitSelection['virtualHost'] {
  if (option === VhRateLimitsOptions.INCLUDE) return 'include';
  return option === VhRateLimitsOptions.IGNORE ? 'ignore' : 'override';
}

function compileHeader({ header }: HeaderValueOption, path: string): Format {
  const name = (header?.key ?? '').toLowerCase();
  const value = compileFormat(header?.value ?? '', `${path}.header.value`);
  return (context) => [name, value.literal ?? value.format(context)];
}
