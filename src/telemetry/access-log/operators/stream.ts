import { formatResponseFlags } from '../../../filters/response-flags.ts';
import { absent, plain, type Operator, type OperatorTable } from './operator.ts';

const responseCodeDetails: Operator = {
  params: 'optional',
  length: false,
  compile(args) {
    if (args === 'ALLOW_WHITESPACES') return ({ info }) => info.responseCodeDetails || undefined;
    return ({ info }) => {
      const details = info.responseCodeDetails;
      return details === '' ? undefined : details.includes(' ') ? details.replace(/\s/g, '_') : details;
    };
  },
};

/** Operators for the outcome of a stream, its byte counts, and the names of what it passed through. */
export const streamOperators: OperatorTable = {
  PROTOCOL: plain(({ info }) => info.protocol || undefined),
  UPSTREAM_PROTOCOL: plain(({ info }) => info.upstreamProtocol || undefined),
  RESPONSE_CODE: plain(({ info }) => info.responseCode),
  RESPONSE_CODE_DETAILS: responseCodeDetails,
  RESPONSE_FLAGS: plain(({ info }) => formatResponseFlags(info.flags, false, info.flagOrder)),
  RESPONSE_FLAGS_LONG: plain(({ info }) => formatResponseFlags(info.flags, true, info.flagOrder)),
  CONNECTION_TERMINATION_DETAILS: plain(({ info }) => info.connectionTerminationDetails || undefined),

  BYTES_RECEIVED: plain(({ info }) => info.bytesReceived),
  BYTES_SENT: plain(({ info }) => info.bytesSent),
  DOWNSTREAM_WIRE_BYTES_RECEIVED: plain(({ info }) => info.wireBytesReceived),
  DOWNSTREAM_WIRE_BYTES_SENT: plain(({ info }) => info.wireBytesSent),
  DOWNSTREAM_HEADER_BYTES_RECEIVED: plain(({ info }) => info.headerBytesReceived),
  DOWNSTREAM_HEADER_BYTES_SENT: plain(({ info }) => info.headerBytesSent),
  UPSTREAM_WIRE_BYTES_RECEIVED: plain(({ info }) => info.upstreamWireBytesReceived),
  UPSTREAM_WIRE_BYTES_SENT: plain(({ info }) => info.upstreamWireBytesSent),
  UPSTREAM_HEADER_BYTES_RECEIVED: plain(({ info }) => info.upstreamHeaderBytesReceived),
  UPSTREAM_HEADER_BYTES_SENT: plain(({ info }) => info.upstreamHeaderBytesSent),
  // HTTP/1 headers are never compressed.
  DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED: plain(({ info }) => info.headerBytesReceived),
  DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT: plain(({ info }) => info.headerBytesSent),
  UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED: plain(({ info }) => info.upstreamHeaderBytesReceived),
  UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT: plain(({ info }) => info.upstreamHeaderBytesSent),
  // Only QUIC counts these.
  BYTES_RETRANSMITTED: plain(() => 0),
  PACKETS_RETRANSMITTED: plain(() => 0),
  DOWNSTREAM_CX_RTT: plain(() => 0),

  ROUTE_NAME: plain(({ info }) => info.routeName || undefined),
  VIRTUAL_CLUSTER_NAME: plain(({ info }) => info.virtualClusterName || undefined),
  UPSTREAM_CLUSTER: plain(({ info }) => info.upstreamClusterObservable || info.upstreamCluster || undefined),
  UPSTREAM_CLUSTER_RAW: plain(({ info }) => info.upstreamCluster || undefined),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: plain(({ info }) => info.attemptCount),
  UPSTREAM_TRANSPORT_FAILURE_REASON: plain(
    ({ info }) => info.upstreamTransportFailureReason.replaceAll(' ', '_') || undefined,
  ),
  FILTER_CHAIN_NAME: plain(({ info }) => info.connection.filterChainName || undefined),
  CONNECTION_ID: plain(({ info }) => info.connection.id),
  UPSTREAM_CONNECTION_ID: plain(({ info }) => info.upstreamConnection?.id ?? 0),
  STREAM_ID: plain(({ info }) => info.streamId || undefined),
  TRACE_ID: plain(({ info }) => info.traceId || undefined),
  LISTENER_NAME: plain(({ info }) => info.connection.listenerName || undefined),
  CUSTOM_FLAGS: plain(() => ''),

  SPAN_ID: absent(),
  ROUTE_RESOLUTION_COUNT: absent(),
  ROUTE_RESOLUTION_TIME_US: absent(),
  DOWNSTREAM_DETECTED_CLOSE_TYPE: absent(),
  DOWNSTREAM_LOCAL_CLOSE_REASON: plain(({ info }) => info.connection.localCloseReason || undefined),
  UPSTREAM_DETECTED_CLOSE_TYPE: absent(),
  UPSTREAM_LOCAL_CLOSE_REASON: absent(),
  UPSTREAM_CONNECTION_IDS_ATTEMPTED: absent(),
  UPSTREAM_SERVER_NAME: absent(),
  CEL: absent('optional', true),
  TYPED_CEL: absent('optional', true),
};
