import { CallCredentials, ChannelCredentials } from '@grpc/grpc-js';
import type { TcpKeepaliveModel } from '../config/cluster-model.ts';
import type { ControlPlaneTransport } from './control-plane-transport.ts';

type SecureConnector = ReturnType<ChannelCredentials['_createSecureConnector']>;

/**
 * Connections as a cluster describes them, transport socket and all, for a gRPC channel. It is a class of its own, since
 * what the library comes with checks host names where Envoy's TLS contexts say what is checked.
 */
export class TransportCredentials extends ChannelCredentials {
  readonly #transport: ControlPlaneTransport | undefined;
  readonly #keepalive: TcpKeepaliveModel | undefined;

  /** Without a transport: raw buffer. */
  constructor(transport: ControlPlaneTransport | undefined, keepalive: TcpKeepaliveModel | undefined) {
    super();
    this.#transport = transport;
    this.#keepalive = keepalive;
  }

  override compose(): ChannelCredentials {
    return this;
  }

  override _isSecure(): boolean {
    return this.#transport !== undefined;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(): SecureConnector {
    const transport = this.#transport;
    return {
      connect: async (socket) => {
        if (this.#keepalive !== undefined) socket.setKeepAlive(true, this.#keepalive.timeMs ?? 0);
        if (transport === undefined) return { socket, secure: false };
        return { socket: await transport.secure(socket), secure: true };
      },
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => CallCredentials.createEmpty(),
      destroy: () => {},
    };
  }
}
