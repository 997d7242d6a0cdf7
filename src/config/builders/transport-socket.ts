import { unpackAny } from '../../api/any.ts';
import type { TransportSocket } from '../../api/generated/envoy/config/core/v3/base_pb.js';
import type { ProxyProtocolUpstreamTransport } from '../../api/generated/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js';
import type { Config as TcpStats } from '../../api/generated/envoy/extensions/transport_sockets/tcp_stats/v3/tcp_stats_pb.js';
import type {
  DownstreamTlsContext,
  UpstreamTlsContext,
} from '../../api/generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import type { TypeRegistry, UnpackedAny } from '../../api/type-registry.ts';
import { Problems } from '../problem.ts';
import { SecretSources } from '../secrets/secret-sources.ts';
import type { DownstreamTransportSocketModel, UpstreamTransportSocketModel } from '../transport-socket-model.ts';
import type { ConfigSourceContext } from './config-source.ts';
import { buildDownstreamTls } from './tls/downstream-tls.ts';
import type { TlsBuildContext } from './tls/tls-build-context.ts';
import { buildUpstreamTls } from './tls/upstream-tls.ts';
import { reportUnsupportedFields } from './unsupported-fields.ts';
import { buildUpstreamProxyProtocol } from './upstream-proxy-protocol.ts';

/** What the build of a transport socket depends on besides its message. */
export interface TransportSocketContext {
  /** Has loaded what the Anys of the message hold. */
  readonly types: TypeRegistry;
  /** Without it (a build of one message alone) there are no static secrets, and nothing that is declared is loaded. */
  readonly secrets?: SecretSources | undefined;
  readonly ticketSeed?: Uint8Array | undefined;
  /** What config sources can rely on. Absent: they are not checked. */
  readonly discovery?: ConfigSourceContext | undefined;
}

const PREFIX = 'envoy.extensions.transport_sockets.';
const RAW_BUFFER = `${PREFIX}raw_buffer.v3.RawBuffer`;
const TCP_STATS = `${PREFIX}tcp_stats.v3.Config`;
const PROXY_PROTOCOL = `${PREFIX}proxy_protocol.v3.ProxyProtocolUpstreamTransport`;
const DOWNSTREAM_TLS = `${PREFIX}tls.v3.DownstreamTlsContext`;
const UPSTREAM_TLS = `${PREFIX}tls.v3.UpstreamTlsContext`;
/** Those that Envoy has and we haven't. */
const UNSUPPORTED: ReadonlySet<string> = new Set([
  `${PREFIX}alts.v3.Alts`,
  `${PREFIX}http_11_proxy.v3.Http11ProxyUpstreamTransport`,
  `${PREFIX}internal_upstream.v3.InternalUpstreamTransport`,
  `${PREFIX}quic.v3.QuicDownstreamTransport`,
  `${PREFIX}quic.v3.QuicUpstreamTransport`,
  `${PREFIX}s2a.v3.S2AConfiguration`,
  `${PREFIX}starttls.v3.StartTlsConfig`,
  `${PREFIX}starttls.v3.UpstreamStartTlsConfig`,
  `${PREFIX}tap.v3.Tap`,
]);

/** core.v3.TransportSocket of a filter chain; `problems` stands at it. Undefined: raw buffer. */
export function buildDownstreamTransportSocket(
  message: TransportSocket | undefined,
  problems: Problems,
  context: TransportSocketContext,
): DownstreamTransportSocketModel | undefined {
  if (message === undefined) return undefined;
  const { typeName, message: inner } = unpack(message, context.types);
  const at = problems.at('typed_config');
  switch (typeName) {
    case RAW_BUFFER:
      return undefined;
    case DOWNSTREAM_TLS:
      return buildDownstreamTls(inner as DownstreamTlsContext, at, tlsContext(context));
    case TCP_STATS:
      return buildDownstreamTransportSocket(withoutTcpStats(inner as TcpStats, at), at.at('transport_socket'), context);
    default:
      refuse(message, typeName, problems);
      return undefined;
  }
}

/** core.v3.TransportSocket of a cluster; `problems` stands at it. */
export function buildUpstreamTransportSocket(
  message: TransportSocket | undefined,
  problems: Problems,
  context: TransportSocketContext,
): UpstreamTransportSocketModel {
  if (message === undefined) return { kind: 'raw-buffer' };
  const { typeName, message: inner } = unpack(message, context.types);
  const at = problems.at('typed_config');
  switch (typeName) {
    case RAW_BUFFER:
      break;
    case UPSTREAM_TLS:
      return buildUpstreamTls(inner as UpstreamTlsContext, at, tlsContext(context));
    case PROXY_PROTOCOL:
      return buildProxyProtocol(inner as ProxyProtocolUpstreamTransport, at, context);
    case TCP_STATS:
      return buildUpstreamTransportSocket(withoutTcpStats(inner as TcpStats, at), at.at('transport_socket'), context);
    default:
      refuse(message, typeName, problems);
  }
  return { kind: 'raw-buffer' };
}

function buildProxyProtocol(
  message: ProxyProtocolUpstreamTransport,
  problems: Problems,
  context: TransportSocketContext,
): UpstreamTransportSocketModel {
  reportUnsupportedFields(context.types, message, ['config', 'transport_socket'], problems);
  const at = problems.at('transport_socket');
  const inner = buildUpstreamTransportSocket(message.transportSocket, at, context);
  if (inner.kind === 'proxy-protocol') at.error('unsupported: a PROXY protocol header within another');
  return {
    kind: 'proxy-protocol',
    ...buildUpstreamProxyProtocol(message.config, context.types, problems.at('config')),
    inner: inner.kind === 'proxy-protocol' ? { kind: 'raw-buffer' } : inner,
  };
}

/** The bytes go as without it; only the kernel's statistics are missing. */
function withoutTcpStats(message: TcpStats, problems: Problems): TransportSocket | undefined {
  problems.unsupported('update_period', "the kernel's TCP statistics are not implemented");
  return message.transportSocket;
}

function unpack({ configType }: TransportSocket, types: TypeRegistry): UnpackedAny {
  if (configType.case !== 'typedConfig') return { typeName: '', desc: undefined, message: undefined, problems: [] };
  const unpacked = unpackAny(types, configType.value);
  // What can't be decoded has been reported where it was read.
  return unpacked.message === undefined ? { ...unpacked, typeName: unpacked.desc ? '' : unpacked.typeName } : unpacked;
}

function refuse({ name }: TransportSocket, typeName: string, problems: Problems): void {
  if (UNSUPPORTED.has(typeName))
    problems.error(`unsupported: the transport socket '${name}' (${typeName}) is not implemented`);
  else problems.error(`Didn't find a registered implementation for '${name}' with type URL: '${typeName}'`);
}

function tlsContext({ types, secrets, ticketSeed }: TransportSocketContext): TlsBuildContext {
  return {
    types,
    secrets: secrets ?? new SecretSources({ types, secrets: [], problems: new Problems(), discovery: undefined }),
    ticketSeed: ticketSeed ?? new Uint8Array(),
  };
}
