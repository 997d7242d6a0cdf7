import type { FilterLogger } from '../filters/http/filter.ts';
import type { Logger } from './worker-context.ts';

/** The process log, as the filter `name` writes to it. */
export function filterLogger(log: Logger, name: string): FilterLogger {
  return {
    debug: (message) => log.debug('filter', `${name}: ${message}`),
    info: (message) => log.info('filter', `${name}: ${message}`),
    warn: (message) => log.warn('filter', `${name}: ${message}`),
    error: (message) => log.error('filter', `${name}: ${message}`),
  };
}
