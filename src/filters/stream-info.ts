/** Facts about one connection, fixed once it is established. Addresses are `ip:port`, `[ip6]:port` or a socket path. */
export interface ConnectionInfo {
  /** A number unique in this process. */
  readonly id: number;
  readonly remoteAddress: string;
  readonly remoteIp: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localIp: string;
  readonly localPort: number;
  /** The peer before any PROXY protocol or original-src rewriting. */
  readonly directRemoteAddress: string;
  readonly directRemoteIp: string;
  readonly directRemotePort: number;
  /** What the socket says, whatever a PROXY protocol header or original_dst made of `local*`. Absent: the same. */
  readonly directLocalAddress?: string;
  readonly directLocalIp?: string;
  readonly directLocalPort?: number;
  /** The local address is where the client was going (original_dst, PROXY protocol), not our socket's. Absent: no. */
  readonly localAddressRestored?: boolean;
  readonly requestedServerName: string;
  /** From a listener filter: `raw_buffer` or `tls`. Absent: none looked. */
  readonly transportProtocol?: string;
  /** ALPN that the ClientHello offers, or the HTTP version that an inspector saw. */
  readonly applicationProtocols?: readonly string[];
  readonly ja3?: string;
  readonly ja4?: string;
  /** TLVs of the PROXY protocol header. */
  readonly proxyProtocolTlvs?: readonly { readonly type: number; readonly value: Uint8Array }[];
  /** From listener filters, upstream from the cluster's network filters; undefined: none. Streams of the connection start with it. */
  readonly filterState?: ReadonlyMap<string, unknown> | undefined;
  /** Set when the handshake failed: %DOWNSTREAM_TRANSPORT_FAILURE_REASON%. */
  readonly transportFailureReason?: string;
  /** Why we closed it: %DOWNSTREAM_LOCAL_CLOSE_REASON%. */
  readonly localCloseReason?: string;
  readonly tls: TlsInfo | undefined;
  readonly filterChainName: string;
  /** Absent on upstream connections. */
  readonly listenerName?: string;
  /** Monotonic ms at which the connection was accepted or opened. */
  readonly startMs: number;
}

/**
 * What a TLS handshake established. Texts are '' and lists empty where there is nothing. What is read from certificates
 * may be computed on first use.
 */
export interface TlsInfo {
  /** `TLSv1.2`, `TLSv1.3`. */
  readonly version: string;
  /** OpenSSL's name: `ECDHE-RSA-AES128-GCM-SHA256`, `TLS_AES_128_GCM_SHA256`. */
  readonly cipher: string;
  /** The key exchange's group, as the library calls it: `X25519`. */
  readonly group?: string;
  /** Lower-case hex; TLS 1.3 has none. */
  readonly sessionId: string;
  /** What was negotiated; '' = nothing. */
  readonly alpn: string;
  readonly peerPresented: boolean;
  readonly peerValidated: boolean;
  /** RFC 2253. */
  readonly peerSubject: string;
  /** RFC 2253. */
  readonly peerIssuer: string;
  /** Lower-case hex of whole bytes. */
  readonly peerSerial: string;
  /** Lower-case hex of the DER certificate's SHA-256. */
  readonly peerFingerprint256: string;
  /** Lower-case hex of the DER certificate's SHA-1. */
  readonly peerFingerprint1?: string;
  /** Of the certificate that vouched for the peer's, when that was verified; formats as above. */
  readonly peerIssuerSerial?: string;
  readonly peerIssuerFingerprint256?: string;
  readonly peerUriSans: readonly string[];
  readonly peerDnsSans: readonly string[];
  readonly peerEmailSans?: readonly string[];
  readonly peerIpSans?: readonly string[];
  readonly peerOtherNameSans?: readonly string[];
  /** Start and end of the certificate's validity, ms since the epoch. */
  readonly peerValidFromMs?: number;
  readonly peerValidToMs?: number;
  /** Of the chain as the peer sent it, leaf first. */
  readonly peerChainFingerprints256?: readonly string[];
  readonly peerChainFingerprints1?: readonly string[];
  readonly peerChainSerials?: readonly string[];
  readonly localUriSans: readonly string[];
  readonly localDnsSans?: readonly string[];
  readonly localEmailSans?: readonly string[];
  readonly localIpSans?: readonly string[];
  readonly localOtherNameSans?: readonly string[];
  readonly localSubject: string;
  /** PEM, URL-encoded as in XFCC (`percentEncodedPem` of lib/x509). */
  readonly peerCertificate: string;
  /** The chain as the peer sent it, leaf first; PEM, URL-encoded. */
  readonly peerCertificateChain: string;
}

/** The upstream host that a stream went to, as logs show it. */
export interface UpstreamHostInfo {
  readonly address: string;
  readonly hostname: string;
  readonly metadata: Metadata | undefined;
  readonly zone: string;
}

/** Envoy's `core.v3.Metadata`: filter name -> JSON object. */
export type Metadata = Readonly<Record<string, unknown>>;

/** One bit for each response flag, in Envoy's order (stream_info.h); short names in response-flags.ts. */
export type ResponseFlags = number;

/**
 * Everything known of one stream, for logs, header formatting, filters and stats. Times are monotonic milliseconds;
 * -1 = not (yet) reached.
 */
export interface StreamInfo {
  readonly connection: ConnectionInfo;
  readonly protocol: string;
  /** Wall clock at the start, ms since the epoch. */
  readonly startEpochMs: number;
  readonly startMs: number;
  readonly requestCompleteMs: number;
  readonly upstreamFirstTxMs: number;
  readonly upstreamLastTxMs: number;
  readonly upstreamFirstRxMs: number;
  readonly upstreamLastRxMs: number;
  readonly downstreamFirstTxMs: number;
  readonly downstreamLastTxMs: number;
  readonly endMs: number;

  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly wireBytesReceived: number;
  readonly wireBytesSent: number;
  readonly headerBytesReceived: number;
  readonly headerBytesSent: number;
  readonly upstreamWireBytesSent: number;
  readonly upstreamWireBytesReceived: number;
  readonly upstreamHeaderBytesSent: number;
  readonly upstreamHeaderBytesReceived: number;

  readonly responseCode: number;
  /** '' = none. */
  readonly responseCodeDetails: string;
  readonly connectionTerminationDetails: string;
  readonly flags: ResponseFlags;
  /** The order in which the flags were set, five bits each (bit number + 1), the first one highest; 0 = unknown. */
  readonly flagOrder?: number;

  /** The request's trusted client address (XFF, use_remote_address, ...), `ip:port`; port 0 when it came from XFF. */
  readonly downstreamRemoteAddress: string;
  readonly downstreamRemoteIp: string;
  readonly downstreamRemotePort: number;

  readonly routeName: string;
  readonly virtualHostName: string;
  readonly virtualClusterName: string;
  readonly routeMetadata: Metadata | undefined;
  /** The name of the chosen cluster; '' = none. `upstreamClusterObservable` is its alt_stat_name if it has one. */
  readonly upstreamCluster: string;
  readonly upstreamClusterObservable: string;
  readonly upstreamClusterMetadata: Metadata | undefined;
  readonly upstreamHost: UpstreamHostInfo | undefined;
  readonly upstreamConnection: ConnectionInfo | undefined;
  readonly upstreamProtocol: string;
  readonly upstreamTransportFailureReason: string;
  readonly attemptCount: number;
  readonly streamId: string;
  readonly traceId: string;

  /** Dynamic metadata: filter name -> object. Created on first use. */
  readonly dynamicMetadata: Map<string, Record<string, unknown>>;
  /** Filter state: key -> value. Created on first use. */
  readonly filterState: Map<string, unknown>;
  setFlag(flag: ResponseFlags): void;
}
