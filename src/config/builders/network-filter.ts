import { unpackAny } from '../../api/any.ts';
import type { Filter } from '../../api/generated/envoy/config/listener/v3/listener_components_pb.js';
import type { HttpConnectionManager } from '../../api/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { TcpProxy } from '../../api/generated/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import type { NetworkFilterModel } from '../network-filter-model.ts';
import type { Problems } from '../problem.ts';
import { HTTP_CONNECTION_MANAGER, buildHttpConnectionManager } from './http-connection-manager.ts';
import { typedConfig, unpackAs, type ListenerBuildContext } from './listener-context.ts';
import { TCP_PROXY, buildTcpProxy } from './tcp-proxy.ts';
import { typeNameOf } from '../../api/type-name.ts';

/**
 * One entry of a filter chain's `filters`; `problems` stands at it. Undefined: it can't be used, and was reported.
 * `isLast`: it ends its chain, which a terminal filter has to do, and no other may.
 */
export function buildNetworkFilter(
  message: Filter,
  isLast: boolean,
  problems: Problems,
  context: ListenerBuildContext,
): NetworkFilterModel | undefined {
  const { name, configType } = message;
  if (configType.case === 'configDiscovery') {
    problems.at('config_discovery').error('unsupported: filter configs from discovery (ECDS) are not implemented');
    return undefined;
  }
  const at = problems.at('typed_config');
  const any = configType.value;
  if (any === undefined) {
    at.error(`Didn't find a registered implementation for '${name}' with type URL: ''`);
    return undefined;
  }
  const hcm = unpackAs<HttpConnectionManager>(context.types, any, HTTP_CONNECTION_MANAGER);
  if (hcm !== undefined) {
    checkPlace(name, 'envoy.filters.network.http_connection_manager', true, isLast, problems);
    return { kind: 'http-connection-manager', name, hcm: buildHttpConnectionManager(hcm, at, context) };
  }
  const tcpProxy = unpackAs<TcpProxy>(context.types, any, TCP_PROXY);
  if (tcpProxy !== undefined) {
    checkPlace(name, 'envoy.filters.network.tcp_proxy', true, isLast, problems);
    return { kind: 'tcp-proxy', name, tcpProxy: buildTcpProxy(tcpProxy, at, context) };
  }
  const typeName = unpackAny(context.types, any).typeName || typeNameOf(any.typeUrl);
  const known = context.findNetworkFilter?.(typeName);
  if (known === undefined) {
    at.error(`unsupported: the network filter '${name}' (${typeName}) is not implemented`);
    return undefined;
  }
  checkPlace(name, known.name, known.isTerminal, isLast, problems);
  return { kind: 'extension', name, config: typedConfig(context.types, name, any) };
}

/** In Envoy's words. `type`: the canonical name of the filter. */
function checkPlace(name: string, type: string, isTerminal: boolean, isLast: boolean, problems: Problems): void {
  if (isTerminal && !isLast)
    problems.error(
      `Error: terminal filter named ${name} of type ${type} must be the last filter in a network filter chain.`,
    );
  else if (!isTerminal && isLast)
    problems.error(
      `Error: non-terminal filter named ${name} of type ${type} is the last filter in a network filter chain.`,
    );
}
