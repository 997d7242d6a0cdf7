import { connect, type Socket, type TcpSocketConnectOpts } from 'node:net';
import type { BindModel, TcpKeepaliveModel } from '../../../config/cluster-model.ts';
import type { AddressModel } from '../../../config/common-model.ts';
import type { NetworkFilterForConnection } from '../../../filters/network/filter.ts';
import type { ConnectionInfo, TlsInfo } from '../../../filters/stream-info.ts';
import type { StatBlock } from '../../../telemetry/stats/stats.ts';
import type { ConnectionInput, HalfClosableOutput } from '../../codec/connection-io.ts';
import { currentRead, ReadBuffer } from '../../codec/read-buffer.ts';
import { SocketWrites } from '../../codec/socket-writes.ts';
import type { Dispatcher } from '../../dispatcher.ts';
import type {
  UpstreamTransportConnection,
  UpstreamTransportOptions,
  UpstreamTransportSocket,
} from '../../transport-socket/transport-socket.ts';
import { CLUSTER_STATS } from '../cluster-stats.ts';
import { formatAddress } from '../host.ts';
import { describeConnectFailure, type ConnectFailure } from './connect-failure.ts';
import { HappyEyeballs } from './happy-eyeballs.ts';

/** What a connection is made with; of the cluster and of the host. */
export interface ConnectOptions {
  readonly address: AddressModel;
  /** Tried where `address` does not connect soon. */
  readonly additionalAddresses: readonly AddressModel[];
  /** Of the endpoint, for the transport socket. */
  readonly hostname: string;
  readonly bind: BindModel | undefined;
  readonly keepalive: TcpKeepaliveModel | undefined;
  /** The high watermark of the write buffer; 0 = none. */
  readonly bufferLimitBytes: number;
  readonly stats: StatBlock;
  readonly connectionId: number;
  /** Undefined: plain bytes. */
  readonly transportSocket: UpstreamTransportSocket | undefined;
  readonly transport: UpstreamTransportOptions;
  /** Network filters between the connection and its user. Absent: none. */
  readonly filters?: readonly NetworkFilterForConnection[];
}

/** Who owns an upstream socket. Every call is made inside a dispatcher turn. */
export interface UpstreamSocketOwner {
  /** Connected, handshake included. */
  onConnected(info: ConnectionInfo): void;
  /**
   * The socket is gone: exactly once, last. `local`: we closed it (or could not bind). `failure` if it never connected
   * and we didn't give up ourselves.
   */
  onSocketClosed(local: boolean, failure: ConnectFailure | undefined): void;
}

/** The socket of one upstream connection, as its pool and its codec use it. */
export interface UpstreamSocket extends HalfClosableOutput {
  /** Where bytes go to; set inside `onConnected`. */
  input: ConnectionInput | undefined;
  /** Bytes written that the system hasn't taken yet. */
  readonly bufferedBytes: number;
  /** The peer ended it with a RST; valid once it is closed. */
  readonly wasReset: boolean;
  /** `reset`: now, with a RST where the system lets us. `abort` and `reset` also cut a flush short. */
  close(how: 'flush' | 'flush-no-delay' | 'abort' | 'reset'): void;
}

export type Connector = (dispatcher: Dispatcher, options: ConnectOptions, owner: UpstreamSocketOwner) => UpstreamSocket;

/** Envoy's words for a transport socket whose secrets have not come. */
const SECRETS_MISSING = 'TLS error: Secret is not supplied by SDS';

/** Opens a TCP connection, or one to a Unix socket, with the transport socket on it. */
export const connectUpstream: Connector = (dispatcher, options, owner) => {
  if (options.transportSocket?.isReady === false) {
    options.transportSocket.countNotReady?.();
    return new UnreadySocket(dispatcher, owner);
  }
  if (options.additionalAddresses.length > 0) return new HappyEyeballs(dispatcher, options, owner, connectOne);
  return connectOne(dispatcher, options, owner);
};

/** The same to `address` only. */
const connectOne: Connector = (dispatcher, options, owner) => new NodeSocket(dispatcher, options, owner);

/** Fails as soon as it may. */
class UnreadySocket implements UpstreamSocket {
  input: ConnectionInput | undefined = undefined;
  readonly bufferedBytes = 0;
  readonly wasReset = false;

  constructor(dispatcher: Dispatcher, owner: UpstreamSocketOwner) {
    dispatcher.post(() => owner.onSocketClosed(false, { local: false, bind: false, reason: SECRETS_MISSING }));
  }

  write(): boolean {
    return true;
  }
  endWrite(): void {}
  pauseRead(): void {}
  resumeRead(): void {}
  close(): void {}
}

class NodeSocket implements UpstreamSocket {
  input: ConnectionInput | undefined = undefined;
  wasReset = false;
  readonly #dispatcher: Dispatcher;
  readonly #options: ConnectOptions;
  readonly #owner: UpstreamSocketOwner;
  readonly #socket: Socket;
  /** Undefined: plain bytes. */
  readonly #transport: UpstreamTransportConnection | undefined;
  readonly #stats: StatBlock;
  readonly #writes = new SocketWrites();
  #buffer = ReadBuffer.take();
  #connected = false;
  #closing = false;
  #local = false;
  /** The peer ended the connection; whoever closes it now only follows. */
  #remoteEnded = false;
  #writeEnded = false;
  #failure: ConnectFailure | undefined = undefined;
  #pauses = 0;
  #lastRead = 0;
  #buffered = 0;

  constructor(dispatcher: Dispatcher, options: ConnectOptions, owner: UpstreamSocketOwner) {
    this.#dispatcher = dispatcher;
    this.#options = options;
    this.#owner = owner;
    this.#stats = options.stats;
    const onread = {
      buffer: () => this.#buffer.bytes,
      callback: (size: number): boolean => {
        this.#onRead(size);
        return true;
      },
    };
    const shared = {
      onread,
      allowHalfOpen: true,
      noDelay: true,
      writableHighWaterMark: options.bufferLimitBytes > 0 ? options.bufferLimitBytes : Number.MAX_SAFE_INTEGER,
    };
    const { address, transportSocket } = options;
    const connectOptions =
      address.kind === 'pipe'
        ? { ...shared, path: abstractPath(address.path) }
        : tcpOptions(address.host, address.port, options.bind, shared);
    this.#transport = transportSocket?.connect(connectOptions, options.hostname, options.transport);
    const socket = this.#transport?.socket ?? connect(connectOptions);
    this.#socket = socket;
    if (options.keepalive !== undefined && address.kind === 'socket') {
      const { timeMs, intervalMs, probes } = options.keepalive;
      // Older Node versions take only the first two.
      socket.setKeepAlive(true, timeMs ?? 7_200_000, intervalMs ?? 75_000, probes ?? 9);
    }
    socket.on(this.#transport?.readyEvent ?? 'connect', () => this.#onConnect());
    socket.on('drain', () => this.#onDrain());
    socket.on('end', () => this.#onEnd());
    socket.on('error', (error) => this.#onError(error));
    socket.on('close', () => this.#onClose());
  }

  write(data: string | Uint8Array): boolean {
    if (this.#closing || this.#writeEnded) return true;
    const socket = this.#socket;
    const accepted =
      typeof data === 'string'
        ? socket.write(data, 'latin1')
        : this.#writes.write(socket, data, this.#transport?.readyEvent === 'secureConnect');
    this.#stats.add(CLUSTER_STATS.at.upstream_cx_tx_bytes_total, data.length);
    const length = socket.writableLength;
    if (length !== this.#buffered) this.#setBuffered(length);
    return accepted;
  }

  endWrite(): void {
    if (this.#closing || this.#writeEnded) return;
    this.#writeEnded = true;
    // With both directions at an end the socket closes by itself; whoever came last has closed it.
    if (this.#remoteEnded) this.#local = true;
    this.#socket.end();
  }

  pauseRead(): void {
    if (this.#pauses++ === 0 && !this.#closing) this.#socket.pause();
  }

  resumeRead(): void {
    if (this.#pauses > 0 && --this.#pauses === 0 && !this.#closing) this.#socket.resume();
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  close(how: 'flush' | 'flush-no-delay' | 'abort' | 'reset'): void {
    const now = how === 'abort' || how === 'reset';
    if (this.#closing && !now) return;
    // After a FIN, closing only follows, unless the other direction was still in use.
    if (!this.#closing)
      this.#local ||= !this.#remoteEnded || (this.input?.allowsHalfClose === true && !this.#writeEnded);
    this.#closing = true;
    if (how === 'reset' && this.#transport === undefined && this.#options.address.kind === 'socket')
      this.#socket.resetAndDestroy();
    else if (!now && this.#connected && this.#socket.writableLength > 0) this.#socket.destroySoon();
    else this.#socket.destroy();
  }

  #onConnect(): void {
    if (this.#closing) return;
    const refusal = this.#transport?.verify();
    if (refusal !== undefined) {
      this.#failure = { local: false, bind: false, reason: refusal };
      this.#closing = true;
      this.#socket.destroy();
      return;
    }
    this.#connected = true;
    if (this.#transport?.preamble !== undefined) this.#socket.write(this.#transport.preamble);
    this.#dispatcher.begin();
    try {
      this.#owner.onConnected(this.#describe(this.#transport?.describe()));
    } finally {
      this.#dispatcher.end();
    }
  }

  #onRead(size: number): void {
    if (this.#closing) return;
    const stats = this.#stats;
    stats.add(CLUSTER_STATS.at.upstream_cx_rx_bytes_total, size);
    if (size !== this.#lastRead) {
      // As in Envoy: the size of the last read stands until the next one.
      stats.add(CLUSTER_STATS.at.upstream_cx_rx_bytes_buffered, size - this.#lastRead);
      this.#lastRead = size;
    }
    this.#dispatcher.begin();
    currentRead.kept = false;
    currentRead.buffer = this.#buffer;
    try {
      this.input?.onData(this.#buffer.bytes.subarray(0, size));
    } finally {
      this.#dispatcher.end();
      currentRead.buffer = undefined;
      this.#buffer = this.#buffer.next(size);
    }
  }

  #onEnd(): void {
    // Before the handshake is done, an error follows that says so.
    if (this.#closing || !this.#connected) return;
    this.#remoteEnded = true;
    this.#dispatcher.begin();
    try {
      this.input?.onEnd();
    } finally {
      this.#dispatcher.end();
    }
    // Whatever the input wanted to close itself it has closed by now.
    if (this.#closing || this.input?.allowsHalfClose === true) return;
    this.#closing = true;
    this.#socket.destroy();
  }

  #onDrain(): void {
    this.#setBuffered(this.#socket.writableLength);
    if (this.#closing) return;
    this.#dispatcher.begin();
    try {
      this.input?.onDrain();
    } finally {
      this.#dispatcher.end();
    }
  }

  #onError(error: NodeJS.ErrnoException): void {
    if (error.code === 'ECONNRESET' && !this.#closing) this.wasReset = true;
    if (this.#connected || this.#closing) return;
    const reason = this.#transport?.explain(error);
    this.#failure =
      reason === undefined
        ? describeConnectFailure(error, this.#options.address)
        : { local: false, bind: false, reason };
    if (this.#failure.local) this.#local = true;
    if (this.#failure.bind) this.#stats.inc(CLUSTER_STATS.at.bind_errors);
  }

  #onClose(): void {
    this.#closing = true;
    this.#setBuffered(0);
    this.#buffer.letGo();
    this.#stats.add(CLUSTER_STATS.at.upstream_cx_rx_bytes_buffered, -this.#lastRead);
    this.#lastRead = 0;
    const { input } = this;
    this.input = undefined;
    this.#dispatcher.begin();
    try {
      input?.onClose();
      this.#owner.onSocketClosed(this.#local, this.#failure);
    } finally {
      this.#dispatcher.end();
    }
  }

  #setBuffered(length: number): void {
    this.#stats.add(CLUSTER_STATS.at.upstream_cx_tx_bytes_buffered, length - this.#buffered);
    this.#buffered = length;
  }

  #describe(tls: TlsInfo | undefined): ConnectionInfo {
    const { address, connectionId } = this.#options;
    const socket = this.#socket;
    const startMs = this.#dispatcher.now;
    if (address.kind === 'pipe') return describeConnection(connectionId, startMs, address.path, '', 0, '', 0, tls);
    const remoteIp = socket.remoteAddress ?? address.host;
    const remotePort = socket.remotePort ?? address.port;
    const local = socket.localAddress ?? '';
    return describeConnection(
      connectionId,
      startMs,
      undefined,
      remoteIp,
      remotePort,
      local,
      socket.localPort ?? 0,
      tls,
    );
  }
}

function tcpOptions(host: string, port: number, bind: BindModel | undefined, shared: object): TcpSocketConnectOpts {
  const options = { ...shared, host, port };
  if (bind === undefined) return options;
  return { ...options, localAddress: bind.address, ...(bind.port !== 0 && { localPort: bind.port }) };
}

/** `@name` is Linux's abstract namespace. */
const abstractPath = (path: string): string => (path.startsWith('@') ? `\0${path.slice(1)}` : path);

/** `path`: of a Unix socket, instead of the addresses. */
export function describeConnection(
  id: number,
  startMs: number,
  path: string | undefined,
  remoteIp: string,
  remotePort: number,
  localIp: string,
  localPort: number,
  tls: TlsInfo | undefined = undefined,
): ConnectionInfo {
  const text = (host: string, port: number): string => formatAddress({ kind: 'socket', host, port, ipv4Compat: false });
  const remoteAddress = path ?? text(remoteIp, remotePort);
  return {
    id,
    remoteAddress,
    remoteIp,
    remotePort,
    localAddress: path ?? text(localIp, localPort),
    localIp,
    localPort,
    directRemoteAddress: remoteAddress,
    directRemoteIp: remoteIp,
    directRemotePort: remotePort,
    requestedServerName: '',
    tls,
    filterChainName: '',
    startMs,
  };
}
