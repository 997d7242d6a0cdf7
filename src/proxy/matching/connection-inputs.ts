import type { MatcherInputModel } from '../../config/matcher-model.ts';
import type { ConnectionInfo } from '../../filters/stream-info.ts';
import { isLocalConnection } from './source-type.ts';
import type { MatcherInput } from './matcher.ts';

/** The inputs of matching trees that look at connections (envoy.extensions.matching.common_inputs.network.v3). */
export function connectionInput({ kind, path }: MatcherInputModel): MatcherInput<ConnectionInfo> {
  switch (kind) {
    case 'destination-ip':
      return ({ localIp }) => localIp || undefined;
    case 'destination-port':
      return ({ localIp, localPort }) => (localIp === '' ? undefined : String(localPort));
    case 'source-ip':
      return ({ remoteIp }) => remoteIp || undefined;
    case 'source-port':
      return ({ remoteIp, remotePort }) => (remoteIp === '' ? undefined : String(remotePort));
    case 'direct-source-ip':
      return ({ directRemoteIp }) => directRemoteIp || undefined;
    case 'source-type':
      return (connection) => (isLocalConnection(connection) ? 'local' : undefined);
    case 'server-name':
      return ({ requestedServerName }) => requestedServerName || undefined;
    case 'transport-protocol':
      return ({ transportProtocol }) => transportProtocol || undefined;
    case 'application-protocol':
      return ({ applicationProtocols = [] }) =>
        applicationProtocols.length === 0 ? undefined : applicationProtocols.map((name) => `'${name}'`).join(',');
    case 'filter-state': {
      const key = path[0]!;
      return ({ filterState }) => {
        const value = filterState?.get(key);
        return value === undefined ? undefined : String(value);
      };
    }
    default:
      throw new Error(`no input '${kind}'`);
  }
}
