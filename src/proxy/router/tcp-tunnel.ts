import type { ConnectionInfo } from '../../filters/stream-info.ts';
import type { ConnectModel } from './route.ts';
import type { HttpProtocol, StreamResetReason } from '../codec/codec.ts';
import type { ConnectionInput } from '../codec/connection-io.ts';
import type { Dispatcher } from '../dispatcher.ts';
import { HeaderMap } from '../http/headers.ts';
import { proxyProtocolV1, proxyProtocolV2 } from '../transport-socket/proxy-protocol-header.ts';
import type {
  Host,
  Pool,
  PoolFailureReason,
  PoolRequest,
  TcpPool,
  TcpPoolRequest,
  UpstreamConnection,
  UpstreamStream,
} from '../upstream/upstream.ts';

const EMPTY = Buffer.alloc(0);

/**
 * The upstream side of a CONNECT that ends here (`connect_config`): an upstream connection that looks like a stream.
 * Its answer to the request's headers is a 200 of our own, the payload goes over it as it is, and the end of either
 * direction is a half-close. One a attempt.
 */
export class TcpTunnel implements Pool, TcpPoolRequest, ConnectionInput, UpstreamStream {
  readonly allowsHalfClose = true;
  /** None, which is what logs show. */
  readonly protocol: HttpProtocol | '' = '';
  wireBytesSent = 0;
  wireBytesReceived = 0;
  readonly #pool: TcpPool;
  readonly #dispatcher: Dispatcher;
  /** Goes first: a PROXY protocol header; undefined: nothing. */
  readonly #preamble: Uint8Array | undefined;
  #request: PoolRequest | undefined = undefined;
  #connection: UpstreamConnection | undefined = undefined;
  #sentEnd = false;
  #receivedEnd = false;
  #over = false;
  #waits = false;

  constructor(pool: TcpPool, dispatcher: Dispatcher, preamble: Uint8Array | undefined) {
    this.#pool = pool;
    this.#dispatcher = dispatcher;
    this.#preamble = preamble;
  }

  // ---- as a pool ------------------------------------------------------------------------------------------------------

  newStream(request: PoolRequest): undefined {
    this.#request = request;
    this.#pool.newConnection(this);
    return undefined;
  }

  cancel(): void {
    this.#pool.cancel(this);
  }

  onPoolReady(connection: UpstreamConnection): void {
    this.#connection = connection;
    connection.input = this;
    this.#request!.onPoolReady(this);
  }

  onPoolFailure(reason: PoolFailureReason, transportFailure: string, host?: Host): void {
    this.#over = true;
    this.#request!.onPoolFailure(reason, transportFailure, host);
  }

  // ---- as a stream ----------------------------------------------------------------------------------------------------

  get host(): Host {
    return this.#connection!.host;
  }

  get connection(): ConnectionInfo {
    return this.#connection!.info;
  }

  sendInformational(): void {}

  sendHeaders(_headers: HeaderMap, endStream: boolean): void {
    if (this.#preamble !== undefined) this.#write(this.#preamble);
    if (endStream) this.#endSending();
    // Events never come from within a call.
    this.#dispatcher.post(() => {
      if (this.#over) return;
      const headers = new HeaderMap();
      headers.status = 200;
      this.#request!.onHeaders(headers, false);
    });
  }

  sendData(chunk: Buffer, endStream: boolean): boolean {
    if (this.#over || this.#sentEnd) return true;
    const writable = chunk.length === 0 || this.#write(chunk);
    if (endStream) this.#endSending();
    else if (!writable) this.#waits = true;
    return writable;
  }

  sendTrailers(): void {
    if (!this.#over) this.#endSending();
  }

  reset(_reason: StreamResetReason): void {
    if (this.#over) return;
    this.#over = true;
    this.#connection!.close('abort');
  }

  pause(): void {
    if (!this.#over) this.#connection!.pauseRead();
  }

  resume(): void {
    if (!this.#over) this.#connection!.resumeRead();
  }

  #write(bytes: Uint8Array): boolean {
    this.wireBytesSent += bytes.length;
    return this.#connection!.write(bytes);
  }

  #endSending(): void {
    if (this.#sentEnd) return;
    this.#sentEnd = true;
    this.#connection!.endWrite();
    this.#closeIfDone();
  }

  /** Both directions are through. */
  #closeIfDone(): void {
    if (!this.#sentEnd || !this.#receivedEnd || this.#over) return;
    this.#over = true;
    this.#connection!.close('flush-no-delay');
  }

  // ---- from the connection ------------------------------------------------------------------------------------------

  onData(chunk: Buffer): void {
    this.wireBytesReceived += chunk.length;
    if (!this.#over) this.#request!.onData(chunk, false);
  }

  onEnd(): void {
    if (this.#over || this.#receivedEnd) return;
    this.#receivedEnd = true;
    this.#request!.onData(EMPTY, true);
    this.#closeIfDone();
  }

  onDrain(): void {
    if (this.#over || !this.#waits) return;
    this.#waits = false;
    this.#request!.onWritable();
  }

  onClose(): void {
    if (this.#over) return;
    this.#over = true;
    if (!this.#receivedEnd) this.#request!.onReset('connection termination', '');
  }

  flush(): void {}
}

/** What goes over the connection of a CONNECT before its payload: by `proxy_protocol_config`, whose connection it is. */
export function connectPreamble(connect: ConnectModel, connection: ConnectionInfo): Uint8Array | undefined {
  if (connect.proxyProtocol === undefined) return undefined;
  const { remoteIp, remotePort, localIp, localPort } = connection;
  const addresses = {
    sourceIp: remoteIp,
    sourcePort: remotePort,
    destinationIp: localIp,
    destinationPort: localPort,
  };
  return connect.proxyProtocol === 'v1' ? proxyProtocolV1(addresses) : proxyProtocolV2(addresses, []);
}
