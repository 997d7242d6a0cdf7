import { ConfigError } from '../filters/config-type.ts';
import { inertContext } from '../filters/inert-context.ts';
import type { ListenerFilterRegistry } from '../filters/listener-registry.ts';
import { loadSocketCalls } from '../lib/posix/socket-calls.ts';
import type { ListenerModel } from './listener-model.ts';
import { needsSocketCalls } from './needs-socket-calls.ts';
import type { Problems } from './problem.ts';

/** Creates every listener filter once, to find what only the filters themselves can find. `problems` stands at the listener. */
export async function checkListenerFilters(
  listener: ListenerModel,
  registry: ListenerFilterRegistry,
  problems: Problems,
): Promise<void> {
  const context = inertContext();
  if (needsSocketCalls(listener) && (await loadSocketCalls()) === undefined)
    problems.unsupported(
      listener.transparent ? 'transparent' : 'use_original_dst',
      'needs the optional dependency koffi, on Linux',
    );
  for (const [index, { config }] of listener.listenerFilters.entries()) {
    const at = problems.at('listener_filters').at(index).at('typed_config');
    try {
      await registry.prepare([config]);
      registry.compile(config, context);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      (error instanceof ConfigError && error.path !== '' ? at.at(error.path) : at).error(message);
    }
  }
}
