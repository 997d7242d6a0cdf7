import type { CertificateValidationModel, SecretSource, TicketKeysModel, TlsCertificateModel } from './secret-model.ts';

/** What a builder makes of a filter chain's transport_socket. Undefined where one is expected: raw buffer. */
export type DownstreamTransportSocketModel = DownstreamTlsModel;

/** What a builder makes of a cluster's transport_socket. */
export type UpstreamTransportSocketModel = RawBufferModel | UpstreamTlsModel | UpstreamProxyProtocolModel;

export interface RawBufferModel {
  readonly kind: 'raw-buffer';
}

export type TlsVersion = 'auto' | 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';

/** transport_sockets.tls.v3.CommonTlsContext. */
export interface CommonTlsModel {
  /** `auto`: TLS 1.2 at least, and 1.2 at most towards upstreams, 1.3 from downstreams, as in Envoy. */
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  /** OpenSSL names, `:`-separated, most wanted first; '' = the default. */
  readonly cipherSuites: string;
  /** OpenSSL names, `:`-separated; '' = the default. */
  readonly ecdhCurves: string;
  readonly signatureAlgorithms: string;
  readonly alpnProtocols: readonly string[];
  readonly certificates: readonly SecretSource<TlsCertificateModel>[];
  readonly validation: TlsValidationModel | undefined;
  readonly keyLog: KeyLogModel | undefined;
}

/** A validation context, or a default one with what a secret adds to it (`combined_validation_context`). */
export interface TlsValidationModel {
  /** Undefined: only what the secret says. */
  readonly inline: CertificateValidationModel | undefined;
  /** Name of the secret; undefined: only what is inline. */
  readonly secret: string | undefined;
}

export interface KeyLogModel {
  readonly path: string;
  /** `address/length`; empty = all. */
  readonly localAddressRanges: readonly string[];
  readonly remoteAddressRanges: readonly string[];
}

/** transport_sockets.tls.v3.DownstreamTlsContext. */
export interface DownstreamTlsModel {
  readonly kind: 'tls';
  readonly common: CommonTlsModel;
  readonly requireClientCertificate: boolean;
  readonly requireSni: boolean;
  readonly sessionTimeoutMs: number | undefined;
  /** Undefined: keys of our own, the same on all workers, in `ownTicketKeys`. */
  readonly ticketKeys: SecretSource<TicketKeysModel> | undefined;
  readonly ownTicketKeys: Uint8Array;
  readonly disableStatelessResumption: boolean;
  readonly disableStatefulResumption: boolean;
  readonly ocspStaplePolicy: 'lenient' | 'strict' | 'must-staple';
  readonly fullScanCertsOnSniMismatch: boolean;
  readonly preferClientCiphers: boolean;
}

/** transport_sockets.tls.v3.UpstreamTlsContext. */
export interface UpstreamTlsModel {
  readonly kind: 'tls';
  readonly common: CommonTlsModel;
  /** '' = none. */
  readonly sni: string;
  readonly autoHostSni: boolean;
  /** The SNI that is sent must be one of the certificate's names. */
  readonly autoSniSanValidation: boolean;
  readonly allowRenegotiation: boolean;
  /** Sessions kept for resumption; 0 = none. */
  readonly maxSessionKeys: number;
  readonly enforceRsaKeyUsage: boolean;
}

/** transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport. */
export interface UpstreamProxyProtocolModel {
  readonly kind: 'proxy-protocol';
  readonly version: 'v1' | 'v2';
  /** TLVs of the downstream's PROXY header that are passed on. */
  readonly passThroughTlvs: 'all' | readonly number[];
  readonly addedTlvs: readonly { readonly type: number; readonly value: Uint8Array }[];
  /** What goes over the connection after the header. */
  readonly inner: RawBufferModel | UpstreamTlsModel;
}

/** One of a cluster's transport_socket_matches, tried in order against an endpoint's `envoy.transport_socket_match`. */
export interface TransportSocketMatchModel {
  readonly name: string;
  /** An empty object matches every endpoint. */
  readonly match: Readonly<Record<string, unknown>>;
  readonly socket: UpstreamTransportSocketModel;
}
