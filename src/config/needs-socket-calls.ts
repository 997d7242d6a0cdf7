import type { ListenerModel } from './listener-model.ts';

const ORIGINAL_DST = 'envoy.extensions.filters.listener.original_dst.v3.OriginalDst';

/** The listener asks for what Node has no API for: IP_TRANSPARENT, or the destination before a redirection. */
export function needsSocketCalls({ transparent, listenerFilters }: ListenerModel): boolean {
  return transparent || listenerFilters.some(({ config }) => config.typeName === ORIGINAL_DST);
}
