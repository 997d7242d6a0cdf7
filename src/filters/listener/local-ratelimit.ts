import { durationMs } from '../../api/duration.ts';
import {
  LocalRateLimitSchema,
  type LocalRateLimit,
} from '../../api/generated/envoy/extensions/filters/listener/local_ratelimit/v3/local_ratelimit_pb.js';
import { TokenBucket } from '../../lib/token-bucket.ts';
import { ConfigError, protobufConfig } from '../config-type.ts';
import type { ListenerFilterType } from './filter.ts';

const LEAST_INTERVAL_MS = 50;

/** envoy.filters.listener.local_ratelimit: closes connections that come faster than a token bucket fills. One bucket a worker. */
export const localRateLimit: ListenerFilterType<LocalRateLimit> = {
  name: 'envoy.filters.listener.local_ratelimit',
  config: protobufConfig(LocalRateLimitSchema),
  create({ statPrefix, tokenBucket, runtimeEnabled }, { clock, rootStats, runtime }) {
    const interval = tokenBucket?.fillInterval;
    const fillIntervalMs = durationMs(interval) ?? 0;
    if (fillIntervalMs < LEAST_INTERVAL_MS)
      throw new ConfigError('local rate limit token bucket fill timer must be >= 50ms', 'token_bucket');
    const bucket = new TokenBucket(clock, {
      maxTokens: tokenBucket!.maxTokens,
      tokensPerFill: tokenBucket!.tokensPerFill ?? 1,
      fillIntervalMs,
    });
    const limited = rootStats.scope(`listener_local_ratelimit.${statPrefix}.`).counter('rate_limited');
    const isEnabled = (): boolean =>
      runtimeEnabled === undefined ||
      runtime.getBoolean(runtimeEnabled.runtimeKey, runtimeEnabled.defaultValue ?? true);
    return () => ({
      onAccept() {
        if (!isEnabled() || bucket.take()) return 'continue';
        limited.inc();
        return 'close';
      },
    });
  },
};
