import { ConfigError } from '../filters/config-type.ts';
import { inertContext } from '../filters/inert-context.ts';
import type { ListenerFilterRegistry } from '../filters/listener-registry.ts';
import type { ListenerModel } from './listener-model.ts';
import type { Problems } from './problem.ts';

/** Creates every listener filter once, to find what only the filters themselves can find. `problems` stands at the listener. */
export async function checkListenerFilters(
  { listenerFilters }: ListenerModel,
  registry: ListenerFilterRegistry,
  problems: Problems,
): Promise<void> {
  const context = inertContext();
  for (const [index, { config }] of listenerFilters.entries()) {
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
