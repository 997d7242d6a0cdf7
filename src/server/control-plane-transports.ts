import type { Socket } from 'node:net';
import type { BuiltCluster } from '../config/cluster-model.ts';
import type { SecretModel } from '../config/secret-model.ts';
import type { ResourceDelta } from '../config/snapshot.ts';
import type { Clock } from '../lib/clock.ts';
import { Dispatcher } from '../proxy/dispatcher.ts';
import { SecretSet } from '../proxy/transport-socket/secret-set.ts';
import { NO_TRANSPORT_OPTIONS, type UpstreamTransportSocket } from '../proxy/transport-socket/transport-socket.ts';
import { UpstreamTls } from '../proxy/transport-socket/upstream-tls.ts';
import type { ProcessLog } from '../telemetry/log.ts';
import { sanitizeStatName, type StatsScope } from '../telemetry/stats/stats.ts';
import type { ControlPlaneTransport } from '../xds/control-plane-transport.ts';

export interface ControlPlaneTransportsOptions {
  readonly clock: Clock;
  readonly log: ProcessLog;
  /** The main thread's root scope. */
  readonly stats: StatsScope;
}

/**
 * The transport sockets of the clusters by which the control plane is reached, on the main thread: TLS as the data path
 * does it, on the sockets that others have connected.
 */
export class ControlPlaneTransports {
  readonly #options: ControlPlaneTransportsOptions;
  readonly #secrets = new SecretSet();
  readonly #dispatcher: Dispatcher;
  readonly #sockets = new Map<string, UpstreamTls>();

  constructor(options: ControlPlaneTransportsOptions) {
    this.#options = options;
    this.#dispatcher = new Dispatcher(options.clock);
  }

  /** Takes over what the workers get too: the secrets that contexts name. */
  apply(secrets: ResourceDelta<SecretModel>): void {
    this.#secrets.apply(secrets);
  }

  /** Undefined: raw buffer. */
  for({ model }: BuiltCluster): ControlPlaneTransport | undefined {
    const { transportSocket, name, altStatName } = model;
    if (transportSocket.kind === 'raw-buffer') return undefined;
    if (transportSocket.kind === 'proxy-protocol')
      return { secure: () => Promise.reject(new Error('PROXY protocol to a control plane is not implemented')) };
    let socket = this.#sockets.get(name);
    if (socket === undefined) {
      const { log, stats } = this.#options;
      socket = new UpstreamTls(transportSocket, stats.scope(`cluster.${sanitizeStatName(altStatName)}.`), {
        index: -1,
        dispatcher: this.#dispatcher,
        secrets: this.#secrets,
        log,
      });
      this.#sockets.set(name, socket);
    }
    const made = socket;
    return { secure: (connected) => handshake(made, connected) };
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }
}

function handshake(transport: UpstreamTransportSocket, connected: Socket): Promise<Socket> {
  if (!transport.isReady) {
    transport.countNotReady?.();
    return Promise.reject(new Error('TLS error: Secret is not supplied by SDS'));
  }
  const { remoteAddress: host = '', remotePort: port = 0 } = connected;
  const connection = transport.connect({ socket: connected, host, port }, '', {
    ...NO_TRANSPORT_OPTIONS,
    alpnFallback: ['h2'],
  });
  const { socket } = connection;
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void =>
      reject(new Error(connection.explain(error) ?? error.message));
    const onClose = (): void => reject(new Error('the peer closed the connection during the handshake'));
    socket.once('error', onError);
    socket.once('close', onClose);
    socket.once(connection.readyEvent, () => {
      const refused = connection.verify();
      socket.removeListener('close', onClose);
      if (refused !== undefined) {
        socket.destroy();
        return reject(new Error(refused));
      }
      socket.removeListener('error', onError);
      resolve(socket);
    });
  });
}
