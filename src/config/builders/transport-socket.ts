import type { TransportSocket } from '../../api/generated/envoy/config/core/v3/base_pb.js';
import type { TypeRegistry } from '../../api/type-registry.ts';
import type { Problems } from '../problem.ts';
import type { DownstreamTransportSocketModel, UpstreamTransportSocketModel } from '../transport-socket-model.ts';

/** What the build of a transport socket depends on besides its message. */
export interface TransportSocketContext {
  /** Has loaded what the Anys of the message hold. */
  readonly types: TypeRegistry;
}

/** core.v3.TransportSocket of a filter chain; `problems` stands at it. Undefined: raw buffer. */
export function buildDownstreamTransportSocket(
  message: TransportSocket | undefined,
  problems: Problems,
  _context: TransportSocketContext,
): DownstreamTransportSocketModel | undefined {
  if (message !== undefined) problems.error(`unsupported: the transport socket '${message.name}' is not implemented`);
  return undefined;
}

/** core.v3.TransportSocket of a cluster; `problems` stands at it. */
export function buildUpstreamTransportSocket(
  message: TransportSocket | undefined,
  problems: Problems,
  _context: TransportSocketContext,
): UpstreamTransportSocketModel {
  if (message !== undefined) problems.error(`unsupported: the transport socket '${message.name}' is not implemented`);
  return { kind: 'raw-buffer' };
}
