import { durationMs } from '../api/duration.ts';
import type { TokenBucket } from '../api/generated/envoy/type/v3/token_bucket_pb.js';
import type { TokenBucketOptions } from '../lib/token-bucket.ts';
import { ConfigError } from './config-type.ts';

const MIN_FILL_INTERVAL_MS = 50;

/**
 * Reads the `token_bucket` of a local rate limit. Throws ConfigError where Envoy refuses it; `path` is the bucket's, and
 * `what` whose it is, in Envoy's words.
 */
export function tokenBucketOptions(
  bucket: TokenBucket | undefined,
  path = 'token_bucket',
  what = 'local rate limit',
): TokenBucketOptions {
  if (bucket === undefined) throw new ConfigError('value is required', path);
  const fillIntervalMs = durationMs(bucket.fillInterval) ?? 0;
  if (fillIntervalMs < MIN_FILL_INTERVAL_MS)
    throw new ConfigError(`${what} token bucket fill timer must be >= 50ms`, `${path}.fill_interval`);
  return { maxTokens: bucket.maxTokens, tokensPerFill: bucket.tokensPerFill ?? 1, fillIntervalMs };
}
