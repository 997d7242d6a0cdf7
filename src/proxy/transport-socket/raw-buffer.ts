import { connect, type Socket, type TcpSocketConnectOpts } from 'node:net';
import type { RawBufferModel } from '../../config/transport-socket-model.ts';
import type { UpstreamTransportConnection, UpstreamTransportSocket } from './transport-socket.ts';

/** Bytes as they are. */
export class RawBuffer implements UpstreamTransportSocket {
  readonly model: RawBufferModel = { kind: 'raw-buffer' };
  readonly isReady = true;
  readonly isSecure = false;

  connect(connectOptions: object): UpstreamTransportConnection {
    return new RawBufferConnection(connect(connectOptions as TcpSocketConnectOpts));
  }

  close(): void {}
}

class RawBufferConnection implements UpstreamTransportConnection {
  readonly socket: Socket;
  readonly readyEvent = 'connect';
  readonly preamble = undefined;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  describe(): undefined {
    return undefined;
  }

  verify(): undefined {
    return undefined;
  }

  explain(): undefined {
    return undefined;
  }
}
