import type { Problems } from './problem.ts';
import { isXdstp, parseXdstp } from './xdstp-name.ts';

/**
 * `cds_resources_locator` or `lds_resources_locator`, which is there; `type`: the full name of what is in the
 * collection. `problems` stands at it.
 */
export function checkResourcesLocator(locator: string, type: string, problems: Problems): void {
  if (locator.startsWith('file:')) return problems.error('unsupported: collections in files are not implemented');
  if (locator.startsWith('http:')) return problems.error('Unsupported code path');
  if (!isXdstp(locator)) return problems.error(`${locator} does not have a xdstp:, http: or file: scheme`);
  const fragment = locator.indexOf('#');
  const name = parseXdstp(fragment === -1 ? locator : locator.slice(0, fragment));
  if (typeof name === 'string') return problems.error(name);
  if (name.type !== type) problems.error(`xdstp:// type does not match ${type} in ${locator}`);
  if (fragment !== -1) problems.error('unsupported: directives are not implemented');
}
