import { durationMs } from '../../api/duration.ts';
import type { RuntimeFeatureFlag } from '../../api/generated/envoy/config/core/v3/base_pb.js';
import {
  LocalRateLimitSchema,
  type LocalRateLimit,
} from '../../api/generated/envoy/extensions/filters/network/local_ratelimit/v3/local_rate_limit_pb.js';
import { TokenBucket, type TokenBucketOptions } from '../../lib/token-bucket.ts';
import { sanitizeStatName } from '../../telemetry/stats/stats.ts';
import { ConfigError, protobufConfig } from '../config-type.ts';
import { ResponseFlag } from '../response-flags.ts';
import { ContinueChain, StopIteration, type NetworkFactoryContext, type NetworkFilterType } from './filter.ts';

const MIN_FILL_INTERVAL_MS = 50;

/**
 * envoy.filters.network.local_ratelimit: closes connections that come faster than a token bucket allows. Each worker
 * has buckets of its own; those with the same `share_key` and size are one.
 */
export const localRateLimit: NetworkFilterType<LocalRateLimit> = {
  name: 'envoy.filters.network.local_ratelimit',
  config: protobufConfig(LocalRateLimitSchema),
  create(config, context) {
    const options = bucketOptions(config);
    const { shareKey } = config;
    const make = (): TokenBucket => new TokenBucket(context.clock, options);
    const bucket =
      shareKey === '' ? make() : context.shared(`local_ratelimit ${shareKey} ${JSON.stringify(options)}`, make);
    const limited = context.rootStats.counter(`local_rate_limit.${sanitizeStatName(config.statPrefix)}.rate_limited`);
    const isEnabled = compileFlag(config.runtimeEnabled, context);
    return (connection) => ({
      onConnection() {
        if (!isEnabled() || bucket.take()) return ContinueChain;
        limited.inc();
        connection.info.setFlag(ResponseFlag.URX);
        connection.close('abort', '');
        return StopIteration;
      },
    });
  },
};

function bucketOptions({ tokenBucket }: LocalRateLimit): TokenBucketOptions {
  const interval = tokenBucket?.fillInterval;
  if (tokenBucket === undefined || interval === undefined) throw new ConfigError('value is required', 'token_bucket');
  const fillIntervalMs = durationMs(interval);
  if (fillIntervalMs < MIN_FILL_INTERVAL_MS)
    throw new ConfigError('local rate limit token bucket fill timer must be >= 50ms', 'token_bucket.fill_interval');
  return { maxTokens: tokenBucket.maxTokens, tokensPerFill: tokenBucket.tokensPerFill ?? 1, fillIntervalMs };
}

/** Compiles a core.v3.RuntimeFeatureFlag; absent, it is on. */
export function compileFlag(
  flag: RuntimeFeatureFlag | undefined,
  { runtime }: Pick<NetworkFactoryContext, 'runtime'>,
): () => boolean {
  if (flag === undefined) return () => true;
  const byDefault = flag.defaultValue ?? true;
  return () => runtime.getBoolean(flag.runtimeKey, byDefault);
}
