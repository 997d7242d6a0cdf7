import type { ConnectionInfo, Metadata, StreamInfo, UpstreamHostInfo } from '../../filters/stream-info.ts';

/** The stream info that the data path fills in; everybody else sees it as `StreamInfo`. See there for the fields. */
export class MutableStreamInfo implements StreamInfo {
  connection: ConnectionInfo;
  protocol: string;
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
  flagOrder = 0;

  downstreamRemoteAddress: string;
  downstreamRemoteIp: string;
  downstreamRemotePort: number;

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
  streamId = '';
  traceId = '';

  #dynamicMetadata: Map<string, Record<string, unknown>> | undefined = undefined;
  #filterState: Map<string, unknown> | undefined = undefined;
  readonly #parent: MutableStreamInfo | undefined;

  /** `parent`: the info of the connection that a stream is on, whose filter state the stream begins with. */
  constructor(
    connection: ConnectionInfo,
    protocol: string,
    startMs: number,
    startEpochMs: number,
    parent?: MutableStreamInfo,
  ) {
    this.#parent = parent;
    this.connection = connection;
    this.protocol = protocol;
    this.startMs = startMs;
    this.startEpochMs = startEpochMs;
    this.downstreamRemoteAddress = connection.remoteAddress;
    this.downstreamRemoteIp = connection.remoteIp;
    this.downstreamRemotePort = connection.remotePort;
  }

  get dynamicMetadata(): Map<string, Record<string, unknown>> {
    return (this.#dynamicMetadata ??= new Map());
  }

  get filterState(): Map<string, unknown> {
    return (this.#filterState ??= new Map(this.#parent?.knownFilterState));
  }

  /** The filter state, unless nobody has put anything there. Makes nothing. */
  get knownFilterState(): ReadonlyMap<string, unknown> | undefined {
    return this.#filterState ?? this.#parent?.knownFilterState;
  }

  setFlag(flag: number): void {
    if (flag === 0 || (this.flags & flag) !== 0) return;
    this.flags |= flag;
    this.flagOrder = this.flagOrder * 32 + (32 - Math.clz32(flag));
  }

  /** The info of a stream that starts over on the same connection, with the same request (an internal redirect). */
  restarted(nowMs: number, epochMs: number): MutableStreamInfo {
    const info = new MutableStreamInfo(this.connection, this.protocol, nowMs, epochMs, this.#parent);
    info.requestCompleteMs = nowMs;
    info.bytesReceived = this.bytesReceived;
    info.headerBytesReceived = this.headerBytesReceived;
    info.downstreamRemoteAddress = this.downstreamRemoteAddress;
    info.downstreamRemoteIp = this.downstreamRemoteIp;
    info.downstreamRemotePort = this.downstreamRemotePort;
    info.streamId = this.streamId;
    info.#filterState = this.#filterState;
    return info;
  }
}
