import type { ListenerFilterModel, ListenerFilterPredicateModel } from '../../config/listener-model.ts';
import type { ListenerFilterForConnection } from '../../filters/listener/filter.ts';
import type { ListenerFilterRegistry } from '../../filters/listener-registry.ts';
import type { ConnectionInfo } from '../../filters/stream-info.ts';
import type { StatsScope } from '../../telemetry/stats/stats.ts';
import { filterLogger } from '../filter-logger.ts';
import type { WorkerContext } from '../worker-context.ts';

/** A listener filter, compiled for one worker. */
export interface CompiledListenerFilter {
  readonly create: ListenerFilterForConnection;
  /** Connections that it isn't run for; undefined: it always is. */
  readonly isDisabled: ((connection: ConnectionInfo) => boolean) | undefined;
}

/** Compiles the filters of one listener; they must have been prepared. `scope` is `listener.<address>.`. */
export function compileListenerFilters(
  models: readonly ListenerFilterModel[],
  registry: ListenerFilterRegistry,
  { dispatcher, random, stats, runtime, log }: WorkerContext,
  scope: StatsScope,
): readonly CompiledListenerFilter[] {
  return models.map(({ name, config, disabled }) => ({
    create: registry.compile(config, {
      clock: dispatcher.clock,
      random,
      stats: scope,
      rootStats: stats,
      runtime,
      log: filterLogger(log, name),
    }),
    isDisabled: disabled === undefined ? undefined : (connection) => fulfils(disabled, connection),
  }));
}

function fulfils(predicate: ListenerFilterPredicateModel, connection: ConnectionInfo): boolean {
  switch (predicate.kind) {
    case 'any':
      return true;
    case 'not':
      return !fulfils(predicate.rule, connection);
    case 'and':
      return predicate.rules.every((rule) => fulfils(rule, connection));
    case 'or':
      return predicate.rules.some((rule) => fulfils(rule, connection));
    case 'destination-port':
      return (
        connection.localIp !== '' && predicate.start <= connection.localPort && connection.localPort < predicate.end
      );
  }
}
