import { connect, type Socket, type TcpSocketConnectOpts } from 'node:net';
import type { UpstreamProxyProtocolModel } from '../../config/transport-socket-model.ts';
import type { TlsInfo } from '../../filters/stream-info.ts';
import { proxyProtocolV1, proxyProtocolV2, type ProxyProtocolTlv } from './proxy-protocol-header.ts';
import type {
  ProxyProtocolSource,
  UpstreamTransportConnection,
  UpstreamTransportOptions,
  UpstreamTransportSocket,
} from './transport-socket.ts';

/** What a connection reads into (net.connect's `onread`). */
interface OnRead {
  readonly buffer: Uint8Array | (() => Uint8Array);
  callback(size: number, buffer: Uint8Array): boolean;
}

/** Tells the host first whose connection it is (ProxyProtocolUpstreamTransport), then does as `inner` does. */
export class UpstreamProxyProtocol implements UpstreamTransportSocket {
  readonly model: UpstreamProxyProtocolModel;
  readonly #inner: UpstreamTransportSocket;

  constructor(model: UpstreamProxyProtocolModel, inner: UpstreamTransportSocket) {
    this.model = model;
    this.#inner = inner;
  }

  get isReady(): boolean {
    return this.#inner.isReady;
  }

  get isSecure(): boolean {
    return this.#inner.isSecure;
  }

  connect(connectOptions: object, hostname: string, options: UpstreamTransportOptions): UpstreamTransportConnection {
    const header = (socket: Socket): Buffer => this.#header(socket, options.downstream);
    if (!this.isSecure) {
      const socket = connect(connectOptions as TcpSocketConnectOpts);
      return new HeaderFirst(socket, header);
    }
    // TLS on a socket that has sent something before needs that socket, and such a TLS socket can't read into a buffer.
    const { onread, ...rest } = connectOptions as TcpSocketConnectOpts & { onread?: OnRead };
    const socket = connect(rest);
    socket.on('error', ignore);
    socket.once('connect', () => socket.write(header(socket)));
    const connection = this.#inner.connect({ ...rest, socket }, hostname, options);
    // It fails as its socket does, but for errors of the connect, which only the latter tells.
    socket.on('error', (error) => connection.socket.destroy(error));
    if (onread !== undefined)
      connection.socket.on('data', (chunk: Buffer) => deliver(chunk, onread, connection.socket));
    return connection;
  }

  countNotReady(): void {
    this.#inner.countNotReady?.();
  }

  close(): void {
    this.#inner.close();
  }

  #header(socket: Socket, downstream: ProxyProtocolSource | undefined): Buffer {
    const { version, passThroughTlvs, addedTlvs } = this.model;
    const addresses = {
      sourceIp: downstream?.remoteIp ?? socket.localAddress ?? '',
      sourcePort: downstream?.remotePort ?? socket.localPort ?? 0,
      destinationIp: downstream?.localIp ?? socket.remoteAddress ?? '',
      destinationPort: downstream?.localPort ?? socket.remotePort ?? 0,
    };
    if (version === 'v1') return proxyProtocolV1(addresses);
    if (downstream === undefined) return proxyProtocolV2(undefined, []);
    const passed: ProxyProtocolTlv[] = downstream.tlvs.filter(
      ({ type }) => passThroughTlvs === 'all' || passThroughTlvs.includes(type),
    );
    return proxyProtocolV2(addresses, [...addedTlvs, ...passed.filter(({ type }) => !isAdded(addedTlvs, type))]);
  }
}

const isAdded = (added: readonly ProxyProtocolTlv[], type: number): boolean => added.some((tlv) => tlv.type === type);

/** Hands a chunk on as a read into the reader's buffer would have come. */
function deliver(chunk: Buffer, { buffer, callback }: OnRead, socket: Socket): void {
  for (let at = 0; at < chunk.length;) {
    const into = typeof buffer === 'function' ? buffer() : buffer;
    const size = Math.min(into.length, chunk.length - at);
    into.set(chunk.subarray(at, at + size));
    at += size;
    if (!callback(size, into)) socket.pause();
  }
}

function ignore(): void {}

class HeaderFirst implements UpstreamTransportConnection {
  readonly socket: Socket;
  readonly readyEvent = 'connect';
  readonly #header: (socket: Socket) => Buffer;

  constructor(socket: Socket, header: (socket: Socket) => Buffer) {
    this.socket = socket;
    this.#header = header;
  }

  /** Of a socket that is connected. */
  get preamble(): Uint8Array {
    return this.#header(this.socket);
  }

  describe(): TlsInfo | undefined {
    return undefined;
  }

  verify(): string | undefined {
    return undefined;
  }

  explain(): string | undefined {
    return undefined;
  }
}
