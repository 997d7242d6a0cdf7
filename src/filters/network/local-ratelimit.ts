import {
  LocalRateLimitSchema,
  type LocalRateLimit,
} from '../../api/generated/envoy/extensions/filters/network/local_ratelimit/v3/local_rate_limit_pb.js';
import { TokenBucket } from '../../lib/token-bucket.ts';
import { sanitizeStatName } from '../../telemetry/stats/stats.ts';
import { protobufConfig } from '../config-type.ts';
import { ResponseFlag } from '../response-flags.ts';
import { compileRuntimeFlag } from '../runtime-flag.ts';
import { tokenBucketOptions } from '../token-bucket-options.ts';
import { ContinueChain, StopIteration, type NetworkFilterType } from './filter.ts';

/**
 * envoy.filters.network.local_ratelimit: closes connections that come faster than a token bucket allows. Each worker
 * has buckets of its own; those with the same `share_key` and size are one.
 */
export const localRateLimit: NetworkFilterType<LocalRateLimit> = {
  name: 'envoy.filters.network.local_ratelimit',
  config: protobufConfig(LocalRateLimitSchema),
  create(config, context) {
    const options = tokenBucketOptions(config.tokenBucket);
    const { shareKey } = config;
    const make = (): TokenBucket => new TokenBucket(context.clock, options);
    const bucket =
      shareKey === '' ? make() : context.shared(`local_ratelimit ${shareKey} ${JSON.stringify(options)}`, make);
    const limited = context.rootStats.counter(`local_rate_limit.${sanitizeStatName(config.statPrefix)}.rate_limited`);
    const isEnabled = compileRuntimeFlag(config.runtimeEnabled, context.runtime);
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
