import type { NetworkFactoryContext } from '../../filters/network/filter.ts';
import { Timer } from '../../lib/timer-wheel.ts';
import type { WorkerContext } from '../worker-context.ts';

/** What the network filter `name` is given while it is compiled, and may keep. */
export function networkFilterContext(name: string, worker: WorkerContext): NetworkFactoryContext {
  const { dispatcher, random, stats, runtime, log } = worker;
  return {
    clock: dispatcher.clock,
    random,
    rootStats: stats,
    runtime,
    log: {
      debug: (message) => log.debug('filter', `${name}: ${message}`),
      info: (message) => log.info('filter', `${name}: ${message}`),
      warn: (message) => log.warn('filter', `${name}: ${message}`),
      error: (message) => log.error('filter', `${name}: ${message}`),
    },
    // Heard on the main thread, which has checked the config.
    unsupported: () => {},
    setTimer(delayMs, callback) {
      const timer = new Timer({ onTimer: callback });
      dispatcher.arm(timer, delayMs);
      return () => dispatcher.disarm(timer);
    },
  };
}
