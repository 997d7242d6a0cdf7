import type {
  DownstreamTransportSocketModel,
  RawBufferModel,
  UpstreamTlsModel,
  UpstreamTransportSocketModel,
} from '../../config/transport-socket-model.ts';
import type { StatsScope } from '../../telemetry/stats/stats.ts';
import { DownstreamTls } from './downstream-tls.ts';
import { RawBuffer } from './raw-buffer.ts';
import type { TlsEnvironment } from './tls-environment.ts';
import type { DownstreamTransportSocket, UpstreamTransportSocket } from './transport-socket.ts';
import { UpstreamProxyProtocol } from './upstream-proxy-protocol.ts';
import { UpstreamTls } from './upstream-tls.ts';

/** The transport socket of a filter chain; `scope` is `listener.<address>.` To be closed with the chain. */
export function createDownstreamTransportSocket(
  model: DownstreamTransportSocketModel,
  scope: StatsScope,
  environment: TlsEnvironment,
): DownstreamTransportSocket {
  return new DownstreamTls(model, scope, environment);
}

/** The transport socket of a cluster, or of one of its matches; `scope` is `cluster.<name>.` To be closed with it. */
export function createUpstreamTransportSocket(
  model: UpstreamTransportSocketModel,
  scope: StatsScope,
  environment: TlsEnvironment,
): UpstreamTransportSocket {
  return model.kind === 'proxy-protocol'
    ? new UpstreamProxyProtocol(model, createInner(model.inner, scope, environment))
    : createInner(model, scope, environment);
}

function createInner(
  model: RawBufferModel | UpstreamTlsModel,
  scope: StatsScope,
  environment: TlsEnvironment,
): UpstreamTransportSocket {
  return model.kind === 'raw-buffer' ? new RawBuffer() : new UpstreamTls(model, scope, environment);
}
