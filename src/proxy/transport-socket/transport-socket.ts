import type { Socket } from 'node:net';
import type { UpstreamTransportSocketModel } from '../../config/transport-socket-model.ts';
import type { TlsInfo } from '../../filters/stream-info.ts';

/**
 * Told how the handshake of a connection went: one of the two is called, once, inside a dispatcher turn; if it failed,
 * perhaps after the socket's 'close'.
 */
export interface HandshakeOwner {
  /**
   * `socket` carries the plain bytes, and is used in the accepted one's place from now on; it emits errors, so it needs
   * a listener for them. A chunk written while nothing waits (`writableLength` 0) is encrypted or copied at once, so
   * that a borrowed one may be used again, though `writableLength` counts it until it has left; one written behind
   * another waits as it is. Whichever of the two closes closes the other: the accepted one's 'close' comes last.
   */
  onHandshakeDone(socket: Socket, tls: TlsInfo): void;
  /** The socket closes. `reason`: Envoy's %DOWNSTREAM_TRANSPORT_FAILURE_REASON%; '' = the peer just left. */
  onHandshakeFailed(reason: string): void;
}

/** What puts a transport socket (TLS) on the accepted sockets of one filter chain. One a chain and worker. */
export interface DownstreamTransportSocket {
  /** False: its secrets haven't come; connections are closed (`downstream_context_secrets_not_ready`, counted by `wrap`'s owner). */
  readonly isReady: boolean;
  /**
   * Starts the handshake on an accepted socket. Bytes that were read already have been put back (`unshift`). The owner
   * listens for the socket's 'error' and 'close', and destroys it to give up; nothing else is to be done with it until
   * `onHandshakeDone` has given what takes its place. `applicationProtocols`: what the ClientHello offers, where a
   * listener filter has looked.
   */
  wrap(socket: Socket, owner: HandshakeOwner, applicationProtocols?: readonly string[]): void;
  /** The chain is gone: subscriptions to secrets end. Connections live on. */
  close(): void;
}

/** What varies between the requests that share a cluster, and with it the connections they can use. */
export interface UpstreamTransportOptions {
  /** Connections with the same key are interchangeable; '' = the cluster's own, without any override. */
  readonly key: string;
  /** SNI in place of the configured one; '' = none. */
  readonly serverName: string;
  /** Names of which the certificate must have one (`auto_san_validation`); empty = what is configured. */
  readonly subjectAltNames: readonly string[];
  /** ALPN in place of the configured; empty = none. */
  readonly alpnProtocols: readonly string[];
  /** ALPN where neither `alpnProtocols` nor the configuration has any: what the pool can speak. */
  readonly alpnFallback?: readonly string[];
  /** For a PROXY protocol header upstream: whose connection it is. Undefined: our own address (health checks). */
  readonly downstream: ProxyProtocolSource | undefined;
}

/** Where a proxied connection came from and went to. */
export interface ProxyProtocolSource {
  readonly remoteIp: string;
  readonly remotePort: number;
  readonly localIp: string;
  readonly localPort: number;
  readonly tlvs: readonly { readonly type: number; readonly value: Uint8Array }[];
}

export const NO_TRANSPORT_OPTIONS: UpstreamTransportOptions = {
  key: '',
  serverName: '',
  subjectAltNames: [],
  alpnProtocols: [],
  downstream: undefined,
};

/** An upstream socket under construction, as the transport socket gives it to the connector. */
export interface UpstreamTransportConnection {
  /** Where bytes are read and written; not yet connected. TLS takes chunks in as HandshakeOwner says. */
  readonly socket: Socket;
  /** The event after which plain bytes flow. */
  readonly readyEvent: 'connect' | 'secureConnect';
  /** What the handshake established; called once, after `readyEvent`. */
  describe(): TlsInfo | undefined;
  /** Checks the peer after `readyEvent`; a text refuses it: Envoy's words for %UPSTREAM_TRANSPORT_FAILURE_REASON%. */
  verify(): string | undefined;
  /** Envoy's words for an error of the socket before `readyEvent`; undefined: it is not the transport's, but the connect's. */
  explain(error: NodeJS.ErrnoException): string | undefined;
  /** Bytes to be sent before all others, in the clear (PROXY protocol); undefined: none. */
  readonly preamble: Uint8Array | undefined;
}

/** What makes the sockets of one cluster's connections. One a cluster (or transport socket match) and worker. */
export interface UpstreamTransportSocket {
  readonly model: UpstreamTransportSocketModel;
  /** False: its secrets haven't come (Envoy's "TLS error: Secret is not supplied by SDS"). */
  readonly isReady: boolean;
  /** The protocols that ALPN offers, if any. */
  readonly isSecure: boolean;
  /**
   * Opens a connection. `connectOptions` are those of net.connect, `onread` among them; `hostname` is the endpoint's,
   * for auto_host_sni.
   */
  connect(connectOptions: object, hostname: string, options: UpstreamTransportOptions): UpstreamTransportConnection;
  /** A connection was wanted but could not be made, since it isn't ready (`upstream_context_secrets_not_ready`). */
  countNotReady?(): void;
  close(): void;
}
