import type { LocalRateLimitDescriptor } from '../../../api/generated/envoy/extensions/common/ratelimit/v3/ratelimit_pb.js';
import type { Clock } from '../../../lib/clock.ts';
import { TokenBucket, type TokenBucketOptions } from '../../../lib/token-bucket.ts';
import { wireText } from '../../../lib/wire-text.ts';
import { ConfigError } from '../../config-type.ts';
import { tokenBucketOptions } from '../../token-bucket-options.ts';
import type { RateLimitDescriptor } from '../filter.ts';

/** What a rate limiter is made of; checked. */
export interface RateLimiterOptions {
  /** Undefined: what no descriptor limits, nothing does. */
  readonly bucket: TokenBucketOptions | undefined;
  /** By the key of the descriptor. */
  readonly descriptors: ReadonlyMap<string, TokenBucketOptions>;
  /** The bucket counts also what a descriptor has let through. */
  readonly alwaysTakesDefault: boolean;
}

/** Whether a request may pass, and the bucket that decided it. */
export interface RateLimitDecision {
  readonly allowed: boolean;
  readonly bucket: TokenBucket | undefined;
}

/** The buckets of one config: one for all requests, and one for each descriptor. */
export class RateLimiter {
  readonly #default: TokenBucket | undefined;
  readonly #descriptors = new Map<string, { readonly bucket: TokenBucket; readonly tokensPerMs: number }>();
  readonly #alwaysTakesDefault: boolean;

  constructor({ bucket, descriptors, alwaysTakesDefault }: RateLimiterOptions, clock: Clock) {
    this.#default = bucket && new TokenBucket(clock, bucket);
    for (const [key, options] of descriptors)
      this.#descriptors.set(key, {
        bucket: new TokenBucket(clock, options),
        tokensPerMs: options.tokensPerFill / options.fillIntervalMs,
      });
    this.#alwaysTakesDefault = alwaysTakesDefault;
  }

  /** Takes a token of every bucket that the request falls under, the slowest first, until one has none. */
  take(descriptors: readonly RateLimitDescriptor[]): RateLimitDecision {
    const matches =
      this.#descriptors.size === 0
        ? []
        : descriptors
            .flatMap((descriptor) => this.#descriptors.get(descriptorKey(descriptor)) ?? [])
            .sort((a, b) => a.tokensPerMs - b.tokensPerMs);
    for (const { bucket } of matches) if (!bucket.take()) return { allowed: false, bucket };
    const first = matches[0]?.bucket;
    if (this.#default === undefined || (first !== undefined && !this.#alwaysTakesDefault))
      return { allowed: true, bucket: first };
    const allowed = this.#default.take();
    return { allowed, bucket: allowed ? (first ?? this.#default) : this.#default };
  }
}

/** Reads the `descriptors` of a local rate limit. Throws ConfigError. */
export function descriptorBuckets(
  messages: readonly LocalRateLimitDescriptor[],
): ReadonlyMap<string, TokenBucketOptions> {
  const buckets = new Map<string, TokenBucketOptions>();
  for (const [index, { entries, tokenBucket }] of messages.entries()) {
    const path = `descriptors[${index}]`;
    const key = descriptorKey(entries.map((entry) => ({ key: entry.key, value: wireText(entry.value) })));
    if (buckets.has(key))
      throw new ConfigError(
        `duplicate descriptor in the local rate descriptor: ${entries.map((entry) => `${entry.key}=${entry.value}`).join(', ')}`,
        path,
      );
    buckets.set(key, tokenBucketOptions(tokenBucket, `${path}.token_bucket`, 'local rate limit descriptor'));
  }
  return buckets;
}

/** Descriptors with the same entries in the same order have the same key. */
function descriptorKey(descriptor: RateLimitDescriptor): string {
  let key = '';
  for (const entry of descriptor) key += `${entry.key.length} ${entry.value.length} ${entry.key}${entry.value}`;
  return key;
}
