import { collectDefaultMetrics, Registry } from 'prom-client';

/**
 * Metrics of the process and of the JavaScript runtime (`process_*`, `nodejs_*`), in a registry of their own; metrics of
 * filter authors can be registered there too. Collecting starts with this call and ends with the process.
 */
export function createProcessMetrics(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}
