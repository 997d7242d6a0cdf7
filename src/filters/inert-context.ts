import type { FactoryContext } from './http/filter.ts';
import type { NetworkFactoryContext } from './network/filter.ts';
import { systemClock } from '../lib/clock.ts';
import { SystemRandom } from '../lib/random.ts';
import { KitStats } from './test-kit/kit-stats.ts';

/**
 * For creating filters only to see whether their config is good: counts nowhere, logs nothing. `unsupported` hears of
 * fields that the filter names so.
 */
export function inertContext(unsupported: (field: string) => void = () => {}): FactoryContext {
  const stats = new KitStats();
  return {
    clock: systemClock,
    random: new SystemRandom(),
    stats,
    rootStats: stats,
    runtime: {
      getNumber: (_key, defaultValue) => defaultValue,
      getBoolean: (_key, defaultValue) => defaultValue,
      getString: () => undefined,
      featureEnabled: () => false,
    },
    node: { id: '', cluster: '', zone: '' },
    log: { debug() {}, info() {}, warn() {}, error() {} },
    unsupported,
    sleep: () => new Promise(() => {}),
  };
}

/** The same for network filters; `unsupported` hears of fields that the filter names so. */
export function inertNetworkContext(unsupported: (field: string) => void): NetworkFactoryContext {
  const { clock, random, rootStats, runtime, node, log } = inertContext();
  return {
    clock,
    random,
    rootStats,
    runtime,
    log,
    unsupported,
    shared: (_key, make) => make(),
    direction: 'downstream',
    node,
    sharedCount: { acquire: () => true, release() {} },
    setTimer: () => () => {},
  };
}
