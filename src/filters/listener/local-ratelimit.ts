import {
  LocalRateLimitSchema,
  type LocalRateLimit,
} from '../../api/generated/envoy/extensions/filters/listener/local_ratelimit/v3/local_ratelimit_pb.js';
import { TokenBucket } from '../../lib/token-bucket.ts';
import { protobufConfig } from '../config-type.ts';
import { compileRuntimeFlag } from '../runtime-flag.ts';
import { tokenBucketOptions } from '../token-bucket-options.ts';
import type { ListenerFilterType } from './filter.ts';

/** envoy.filters.listener.local_ratelimit: closes connections that come faster than a token bucket fills. One bucket a worker. */
export const localRateLimit: ListenerFilterType<LocalRateLimit> = {
  name: 'envoy.filters.listener.local_ratelimit',
  config: protobufConfig(LocalRateLimitSchema),
  create({ statPrefix, tokenBucket, runtimeEnabled }, { clock, rootStats, runtime }) {
    const bucket = new TokenBucket(clock, tokenBucketOptions(tokenBucket));
    const limited = rootStats.scope(`listener_local_ratelimit.${statPrefix}.`).counter('rate_limited');
    const isEnabled = compileRuntimeFlag(runtimeEnabled, runtime);
    return () => ({
      onAccept() {
        if (!isEnabled() || bucket.take()) return 'continue';
        limited.inc();
        return 'close';
      },
    });
  },
};
