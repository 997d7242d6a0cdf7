import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { Server, TLSSocket } from 'node:tls';
import { TLS_STATS } from '../../telemetry/stats/tls-stats.ts';
import { ConnectionTlsInfo } from './connection-tls-info.ts';
import type { DownstreamTlsContext } from './downstream-tls-context.ts';
import type { KeyLogFile } from './key-log-file.ts';
import type { TlsCounters } from './tls-counters.ts';
import type { TlsEnvironment } from './tls-environment.ts';
import { chainFailure, handshakeFailure, MISSING_CERTIFICATE, type TlsFailure } from './tls-failure.ts';
import type { HandshakeOwner } from './transport-socket.ts';
import { NOTHING_EXPECTED } from './verification/peer-verifier.ts';

/** What the handshakes of a filter chain share. */
export interface HandshakeSettings {
  readonly environment: TlsEnvironment;
  readonly counters: TlsCounters;
  readonly keyLog: KeyLogFile | undefined;
}

/** The handshake of one accepted socket. Told by `startHandshake` what the TLS server says of it. */
export class DownstreamHandshake {
  readonly socket: Socket;
  readonly #owner: HandshakeOwner;
  readonly #context: DownstreamTlsContext;
  readonly #settings: HandshakeSettings;
  #over = false;
  readonly #allowHalfOpen: boolean;
  #stapleFailed = false;

  constructor(socket: Socket, owner: HandshakeOwner, context: DownstreamTlsContext, settings: HandshakeSettings) {
    this.socket = socket;
    this.#owner = owner;
    this.#context = context;
    this.#settings = settings;
    // A client that ends its half in the middle of a handshake has left.
    this.#allowHalfOpen = socket.allowHalfOpen;
    socket.allowHalfOpen = false;
    // The reason why it closed may still be on its way.
    socket.once('close', () => setImmediate(() => this.fail(NO_REASON)));
  }

  onSecureConnection(socket: TLSSocket): void {
    const { counters, environment } = this.#settings;
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code?.startsWith('ERR_SSL_') === true) counters.failed('connection_error');
    });
    if (this.#over) {
      socket.destroy();
      return;
    }
    const { verifier } = this.#context;
    const peer = verifier === undefined ? undefined : socket.getPeerX509Certificate();
    let validated = false;
    if (verifier !== undefined) {
      if (peer !== undefined) {
        const verdict = verifier.verify(socket, peer, NOTHING_EXPECTED, environment.dispatcher.clock.epoch());
        if (!verdict.accepted) {
          this.fail(verdict.failure!);
          return;
        }
        if (verdict.failure?.stat !== undefined) counters.failed(verdict.failure.stat);
        validated = verdict.validated;
      } else if (this.#context.requiresCertificate) {
        this.fail(MISSING_CERTIFICATE);
        return;
      }
    }
    const info = new ConnectionTlsInfo(socket, peer, validated, '');
    counters.handshakeDone(info.version, info.cipher, '', socket.isSessionReused(), peer !== undefined);
    this.#over = true;
    socket.allowHalfOpen = this.#allowHalfOpen;
    const { dispatcher } = environment;
    dispatcher.begin();
    try {
      this.#owner.onHandshakeDone(socket, info);
    } finally {
      dispatcher.end();
    }
  }

  onTlsClientError(error: NodeJS.ErrnoException, socket: TLSSocket): void {
    // The library's verdict on a client's certificate, after which Node just closes.
    const verdict: unknown = socket.authorizationError;
    if (this.#stapleFailed) this.fail(NO_STAPLE);
    else if (typeof verdict === 'string') this.fail(chainFailure(verdict));
    else this.fail(handshakeFailure(error, false));
  }

  /** RFC 6066 section 8: the client asks for a staple. */
  onOcspRequest(certificate: Buffer, callback: (error: Error | null, response?: Buffer) => void): void {
    const { block } = this.#settings.counters;
    block.inc(TLS_STATS.at.ocsp_staple_requests);
    const staple = this.#context.stapleOf(certificate);
    const verdict = staple?.verdict(this.#settings.environment.dispatcher.clock.epoch()) ?? 'omit';
    if (verdict === 'staple') {
      block.inc(TLS_STATS.at.ocsp_staple_responses);
      callback(null, staple!.response);
    } else if (verdict === 'omit') {
      block.inc(TLS_STATS.at.ocsp_staple_omitted);
      callback(null);
    } else {
      block.inc(TLS_STATS.at.ocsp_staple_failed);
      this.#stapleFailed = true;
      callback(new Error('no valid OCSP response'));
    }
  }

  onKeyLog(line: Buffer, { localAddress, remoteAddress }: TLSSocket): void {
    this.#settings.keyLog?.write(line, localAddress, remoteAddress);
  }

  /** The socket is destroyed by the owner. */
  fail({ reason, stat }: TlsFailure): void {
    if (this.#over) return;
    this.#over = true;
    const { counters, environment } = this.#settings;
    if (stat !== undefined) counters.failed(stat);
    environment.dispatcher.begin();
    try {
      this.#owner.onHandshakeFailed(reason);
    } finally {
      environment.dispatcher.end();
    }
  }

  /** A bug of ours: it costs this connection. */
  crash(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#settings.environment.log.error('connection', `a TLS handshake failed: ${text}`);
    this.socket.destroy();
  }
}

const NO_REASON: TlsFailure = { reason: '', stat: undefined };
const NO_STAPLE: TlsFailure = {
  reason: 'TLS_error:|268435582:SSL routines:OPENSSL_internal:CERT_CB_ERROR:TLS_error_end',
  stat: 'connection_error',
};

const HANDSHAKE = Symbol('handshake');

/** What stands in the server's place for one socket: it inherits all but `emit` from it. */
interface HandshakeServer extends Server {
  [HANDSHAKE]: DownstreamHandshake;
}

/** By server: the object that its sockets' stand-ins inherit from. */
export type HandshakePrototype = HandshakeServer;

/**
 * Makes what `startHandshake` needs of a server. Node emits what happens to a connection on the server that the
 * 'connection' event was emitted on (which anyone may do, to give it sockets), and names the connection by its TLSSocket,
 * which only the library makes. A stand-in for each socket, one small object, tells which socket it is about.
 */
export function handshakePrototype(server: Server): HandshakePrototype {
  const prototype = Object.create(server) as HandshakeServer;
  Object.defineProperty(prototype, 'emit', { value: emitToHandshake });
  return prototype;
}

export function startHandshake(prototype: HandshakePrototype, handshake: DownstreamHandshake): void {
  const server = Object.create(prototype) as HandshakeServer;
  server[HANDSHAKE] = handshake;
  EventEmitter.prototype.emit.call(server, 'connection', handshake.socket);
}

/** Called by the library: nothing may be thrown. */
function emitToHandshake(this: HandshakeServer, event: string, ...args: unknown[]): boolean {
  const handshake = this[HANDSHAKE];
  try {
    switch (event) {
      case 'secureConnection':
        handshake.onSecureConnection(args[0] as TLSSocket);
        break;
      case 'tlsClientError':
        handshake.onTlsClientError(args[0] as NodeJS.ErrnoException, args[1] as TLSSocket);
        break;
      case 'OCSPRequest':
        handshake.onOcspRequest(args[0] as Buffer, args[2] as Parameters<DownstreamHandshake['onOcspRequest']>[1]);
        break;
      case 'keylog':
        handshake.onKeyLog(args[0] as Buffer, args[1] as TLSSocket);
        break;
      default:
        return EventEmitter.prototype.emit.call(this, event, ...args);
    }
  } catch (error) {
    handshake.crash(error);
  }
  return true;
}
