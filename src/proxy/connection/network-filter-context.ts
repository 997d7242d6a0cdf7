import type { NetworkFactoryContext, SharedCount } from '../../filters/network/filter.ts';
import { Timer } from '../../lib/timer-wheel.ts';
import { filterLogger } from '../filter-logger.ts';
import type { WorkerContext } from '../worker-context.ts';

/** What the network filter `name` is given while it is compiled, and may keep. `shared`: of the worker. */
export function networkFilterContext(
  name: string,
  worker: WorkerContext,
  shared: Map<string, unknown>,
  sharedCount: SharedCount,
  direction: NetworkFactoryContext['direction'] = 'downstream',
): NetworkFactoryContext {
  const { dispatcher, random, stats, runtime, log, dnsCaches, node } = worker;
  return {
    clock: dispatcher.clock,
    random,
    rootStats: stats,
    runtime,
    log: filterLogger(log, name),
    shared<Value>(key: string, make: () => Value): Value {
      if (!shared.has(key)) shared.set(key, make());
      return shared.get(key) as Value;
    },
    ...(dnsCaches !== undefined && { dnsCaches }),
    direction,
    node,
    sharedCount,
    // Heard on the main thread, which has checked the config.
    unsupported: () => {},
    setTimer(delayMs, callback) {
      const timer = new Timer({ onTimer: callback });
      dispatcher.arm(timer, delayMs);
      return () => dispatcher.disarm(timer);
    },
  };
}
