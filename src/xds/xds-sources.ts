import type { ConfigSource } from '../api/generated/envoy/config/core/v3/config_source_pb.js';
import type { Subscription, SubscriptionTarget } from './subscription.ts';

/** How everything that is discovered is subscribed to. */
export interface Subscriber {
  /**
   * Subscribes to what `config` says. The source is opened with it, and closed by the subscription's `close`; what goes
   * over ADS shares its stream. `config` has to have passed `checkConfigSource`.
   */
  subscribe(config: ConfigSource, target: SubscriptionTarget): Subscription;
}
