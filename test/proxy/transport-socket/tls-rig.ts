import { once } from 'node:events';
import { connect as connectTcp, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import type { SecretModel } from '../../../src/config/secret-model.ts';
import type { DownstreamTlsModel } from '../../../src/config/transport-socket-model.ts';
import type { TlsInfo } from '../../../src/filters/stream-info.ts';
import { systemClock, type Clock } from '../../../src/lib/clock.ts';
import { Dispatcher } from '../../../src/proxy/dispatcher.ts';
import { DownstreamTls } from '../../../src/proxy/transport-socket/downstream-tls.ts';
import { SecretSet } from '../../../src/proxy/transport-socket/secret-set.ts';
import type { TlsEnvironment } from '../../../src/proxy/transport-socket/tls-environment.ts';
import { ThreadStats } from '../../../src/telemetry/stats/arena.ts';
import { TLS_STATS } from '../../../src/telemetry/stats/tls-stats.ts';

/** What TLS transport sockets need, and what they counted and logged. */
export class TlsRig {
  readonly stats = new ThreadStats();
  readonly secrets = new SecretSet();
  readonly errors: string[] = [];
  readonly environment: TlsEnvironment;

  constructor(clock: Clock = systemClock) {
    const log = (component: string, message: string): void => void this.errors.push(`${component}: ${message}`);
    this.environment = {
      index: 0,
      dispatcher: new Dispatcher(clock),
      secrets: this.secrets,
      log: { debug: () => {}, info: () => {}, warn: log, error: log },
    };
  }

  set(...secrets: readonly SecretModel[]): void {
    this.secrets.apply({ set: secrets, remove: [] });
  }

  /** A counter of the `ssl.` family. */
  count(name: keyof typeof TLS_STATS.at): number {
    return this.stats.block(TLS_STATS, 'test.ssl.').get(TLS_STATS.at[name]) + 0;
  }

  /** One whose name came with what was seen: `versions.TLSv1.3`. */
  named(name: string): number {
    return this.stats.counter(`test.ssl.${name}`).value;
  }
}

/** How one handshake went for both sides. */
export interface Exchange {
  /** What the proxy's side got to know; undefined: it failed. */
  readonly tls: TlsInfo | undefined;
  /** Of a failed one; undefined: it didn't fail. */
  readonly reason: string | undefined;
  /** What the client was answered: `ok`, or the error's code. '' = the connection just closed. */
  readonly client: string;
  /** The client's side of what was negotiated, and whom it met. */
  readonly alpn: string | false | null;
  readonly subject: string;
  readonly protocol: string;
  readonly resumed: boolean;
  readonly session: Buffer | undefined;
  readonly staple: Buffer | undefined;
}

/** A server of one filter chain that answers whatever it is sent with `ok`. */
export class TlsServerRig extends TlsRig implements AsyncDisposable {
  readonly transport: DownstreamTls;
  readonly #server: Server;
  #outcome: Promise<{ tls?: TlsInfo; reason?: string }> | undefined;
  /** What a listener filter has seen of the next connection. */
  offered: readonly string[] | undefined = undefined;

  private constructor(model: DownstreamTlsModel, secrets: readonly SecretModel[], clock: Clock) {
    super(clock);
    this.set(...secrets);
    this.transport = new DownstreamTls(model, this.stats.scope('test.'), this.environment);
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  static async start(
    model: DownstreamTlsModel,
    secrets: readonly SecretModel[] = [],
    clock: Clock = systemClock,
  ): Promise<TlsServerRig> {
    const rig = new TlsServerRig(model, secrets, clock);
    rig.#server.listen(0, '127.0.0.1');
    await once(rig.#server, 'listening');
    return rig;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async handshake(options: ConnectionOptions = {}): Promise<Exchange> {
    const socket = connectTls({ port: this.port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
    const seen = await this.#talk(socket);
    const { tls, reason } = await this.#outcome!;
    return { tls, reason, ...seen };
  }

  /** Sends bytes that are no TLS, or broken; the reason why it failed. */
  async raw(bytes: Buffer | string, end = false): Promise<string | undefined> {
    const socket = connectTcp(this.port, '127.0.0.1', () => (end ? socket.end(bytes) : socket.write(bytes)));
    socket.on('error', () => {});
    socket.resume();
    await closeOf(socket);
    return (await this.#outcome!).reason;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.transport.close();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #talk(socket: TLSSocket): Promise<Omit<Exchange, 'tls' | 'reason'>> {
    let client = '';
    let session: Buffer | undefined;
    let staple: Buffer | undefined;
    let known = { alpn: null as string | false | null, subject: '', protocol: '', resumed: false };
    socket.on('session', (each) => (session = each));
    socket.on('OCSPResponse', (response) => (staple = response));
    socket.on('secureConnect', () => {
      known = {
        alpn: socket.alpnProtocol,
        subject: socket.getPeerX509Certificate()?.subject ?? '',
        protocol: socket.getProtocol() ?? '',
        resumed: socket.isSessionReused(),
      };
      socket.write('hello');
    });
    socket.on('data', (chunk: Buffer) => (client += chunk.toString()));
    socket.on('error', (error: NodeJS.ErrnoException) => (client = error.code ?? error.message));
    await closeOf(socket);
    return { client, session, staple, ...known };
  }

  #accept(socket: Socket): void {
    socket.on('error', () => {});
    const closed = closeOf(socket);
    const outcome = Promise.withResolvers<{ tls?: TlsInfo; reason?: string }>();
    this.#outcome = outcome.promise;
    this.transport.wrap(
      socket,
      {
        onHandshakeDone: (secure, tls) => {
          secure.on('error', () => {});
          secure.on('end', () => secure.destroy());
          secure.on('data', () => {
            // Read while the socket is open.
            void [tls.peerSubject, tls.localSubject, tls.peerCertificateChain];
            secure.end('ok');
          });
          void closed.then(() => outcome.resolve({ tls }));
        },
        onHandshakeFailed: (reason) => {
          socket.destroy();
          outcome.resolve({ reason });
        },
      },
      this.offered,
    );
  }
}

/** Errors come before it, and are no reason to reject. */
const closeOf = (socket: Socket): Promise<void> => new Promise((resolve) => socket.once('close', () => resolve()));
