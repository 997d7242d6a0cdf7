import type { HttpFilterModel } from '../../config/hcm-model.ts';
import type { FactoryContext } from '../../filters/http/filter.ts';
import type { HttpFilterRegistry } from '../../filters/registry.ts';
import { Timer } from '../../lib/timer-wheel.ts';
import type { StatsScope } from '../../telemetry/stats/stats.ts';
import { filterLogger } from '../filter-logger.ts';
import type { WorkerContext } from '../worker-context.ts';
import { CompiledFilter } from './compiled-filter.ts';

/** Compiles the filters of one HTTP connection manager; they must have been prepared. `scope` is `http.<stat_prefix>.`. */
export function compileFilterChain(
  models: readonly HttpFilterModel[],
  registry: HttpFilterRegistry,
  worker: WorkerContext,
  scope: StatsScope,
): CompiledFilter[] {
  return models.map(({ name, config, disabled }) => {
    const { create, compileRoute } = registry.compile(config, factoryContext(name, worker, scope));
    return new CompiledFilter(name, create, disabled, compileRoute);
  });
}

/** What filters are given while they are compiled, and may keep. */
function factoryContext(name: string, worker: WorkerContext, scope: StatsScope): FactoryContext {
  const { dispatcher, random, stats, runtime, node, log, dnsCaches } = worker;
  return {
    clock: dispatcher.clock,
    random,
    stats: scope,
    rootStats: stats,
    runtime,
    node,
    ...(dnsCaches !== undefined && { dnsCaches }),
    log: filterLogger(log, name),
    sleep: (delayMs, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) {
          reject(signal.reason as Error);
          return;
        }
        const abort = (): void => {
          dispatcher.disarm(timer);
          reject(signal!.reason as Error);
        };
        const timer = new Timer({
          onTimer() {
            signal?.removeEventListener('abort', abort);
            resolve();
          },
        });
        signal?.addEventListener('abort', abort, { once: true });
        dispatcher.arm(timer, delayMs);
      }),
  };
}
