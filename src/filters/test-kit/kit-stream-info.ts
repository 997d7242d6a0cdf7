import type { ConnectionInfo, Metadata, StreamInfo, UpstreamHostInfo } from '../stream-info.ts';

const connection: ConnectionInfo = {
  id: 1,
  remoteAddress: '192.0.2.1:50000',
  remoteIp: '192.0.2.1',
  remotePort: 50000,
  localAddress: '198.51.100.1:8080',
  localIp: '198.51.100.1',
  localPort: 8080,
  directRemoteAddress: '192.0.2.1:50000',
  directRemoteIp: '192.0.2.1',
  directRemotePort: 50000,
  requestedServerName: '',
  tls: undefined,
  filterChainName: '',
  listenerName: 'test',
  startMs: 0,
};

/** The stream info of a test. Everything may be set. */
export class KitStreamInfo implements StreamInfo {
  connection: ConnectionInfo = connection;
  protocol = 'HTTP/1.1';
  startEpochMs: number;
  startMs: number;
  requestCompleteMs = -1;
  upstreamFirstTxMs = -1;
  upstreamLastTxMs = -1;
  upstreamFirstRxMs = -1;
  upstreamLastRxMs = -1;
  downstreamFirstTxMs = -1;
  downstreamLastTxMs = -1;
  endMs = -1;
  bytesReceived = 0;
  bytesSent = 0;
  wireBytesReceived = 0;
  wireBytesSent = 0;
  headerBytesReceived = 0;
  headerBytesSent = 0;
  upstreamWireBytesSent = 0;
  upstreamWireBytesReceived = 0;
  upstreamHeaderBytesSent = 0;
  upstreamHeaderBytesReceived = 0;
  responseCode = 0;
  responseCodeDetails = '';
  connectionTerminationDetails = '';
  flags = 0;
  downstreamRemoteAddress = connection.remoteAddress;
  downstreamRemoteIp = connection.remoteIp;
  downstreamRemotePort = connection.remotePort;
  routeName = '';
  virtualHostName = '';
  virtualClusterName = '';
  routeMetadata: Metadata | undefined = undefined;
  upstreamCluster = '';
  upstreamClusterObservable = '';
  upstreamClusterMetadata: Metadata | undefined = undefined;
  upstreamHost: UpstreamHostInfo | undefined = undefined;
  upstreamConnection: ConnectionInfo | undefined = undefined;
  upstreamProtocol = '';
  upstreamTransportFailureReason = '';
  attemptCount = 0;
  streamId = '00000000-0000-4000-8000-000000000000';
  traceId = '';
  readonly dynamicMetadata = new Map<string, Record<string, unknown>>();
  readonly filterState = new Map<string, unknown>();

  constructor(startMs: number, startEpochMs: number) {
    this.startMs = startMs;
    this.startEpochMs = startEpochMs;
  }

  setFlag(flag: number): void {
    this.flags |= flag;
  }
}
