import { constants, type X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect, createSecureContext, type ConnectionOptions, type SecureContext, type TLSSocket } from 'node:tls';
import type { UpstreamTlsModel } from '../../config/transport-socket-model.ts';
import type { TlsInfo } from '../../filters/stream-info.ts';
import { TLS_SOCKET_FACTORY_STATS } from '../../telemetry/stats/tls-stats.ts';
import type { StatsScope } from '../../telemetry/stats/stats.ts';
import { setExpirationGauges } from './certificate-gauges.ts';
import { ConnectionTlsInfo } from './connection-tls-info.ts';
import { KeyLogFile } from './key-log-file.ts';
import { certificateOptions, secureContextOptions } from './secure-context.ts';
import type { SecretListener } from './secret-set.ts';
import { TlsCounters } from './tls-counters.ts';
import type { TlsEnvironment } from './tls-environment.ts';
import { handshakeFailure } from './tls-failure.ts';
import { findMaterial, secretNames } from './tls-material.ts';
import type {
  UpstreamTransportConnection,
  UpstreamTransportOptions,
  UpstreamTransportSocket,
} from './transport-socket.ts';
import { UpstreamSessions, type UpstreamSession } from './upstream-sessions.ts';
import { PeerVerifier, type ExpectedNames } from './verification/peer-verifier.ts';

/** One version of the context. */
interface Current {
  readonly secure: SecureContext;
  readonly verifier: PeerVerifier | undefined;
  /** Sessions made with other secrets must not be resumed. */
  readonly sessions: UpstreamSessions;
}

/** TLS to the hosts of one cluster (UpstreamTlsContext), on one worker. */
export class UpstreamTls implements UpstreamTransportSocket, SecretListener {
  readonly model: UpstreamTlsModel;
  readonly isSecure = true;
  readonly #scope: StatsScope;
  readonly #environment: TlsEnvironment;
  readonly #counters: TlsCounters;
  readonly #keyLog: KeyLogFile | undefined;
  readonly #secretNames: readonly string[];
  #current: Current | undefined;

  /** `scope`: the cluster's. */
  constructor(model: UpstreamTlsModel, scope: StatsScope, environment: TlsEnvironment) {
    this.model = model;
    this.#scope = scope;
    this.#environment = environment;
    this.#counters = new TlsCounters(scope, 'client');
    const { keyLog } = model.common;
    this.#keyLog = keyLog === undefined ? undefined : new KeyLogFile(keyLog, environment.log);
    this.#secretNames = secretNames(model.common);
    for (const name of this.#secretNames) environment.secrets.subscribe(name, this);
    this.#counters.countSecretUpdates(this.#secretNames, environment);
    this.#build();
  }

  get isReady(): boolean {
    return this.#current !== undefined;
  }

  connect(connectOptions: object, hostname: string, options: UpstreamTransportOptions): UpstreamTransportConnection {
    const current = this.#current;
    if (current === undefined) throw new Error('the secrets of a TLS context have not come');
    const { common, autoSniSanValidation } = this.model;
    const serverName = this.#serverName(hostname, options);
    let alpn = options.alpnProtocols;
    if (alpn.length === 0) alpn = common.alpnProtocols;
    if (alpn.length === 0) alpn = options.alpnFallback ?? [];
    const { host = '', port = 0, path = '', writableHighWaterMark } = connectOptions as KnownConnectOptions;
    const sessionKey = `${host}|${port}|${path}|${serverName}|${alpn.join()}|${options.subjectAltNames.join()}`;
    const resumes = current.sessions.isEnabled ? current.sessions.take(sessionKey) : undefined;
    const socket = connect({
      ...connectOptions,
      secureContext: current.secure,
      // The library decides nothing: verify() does, on its verdict and ours.
      rejectUnauthorized: false,
      checkServerIdentity: accept,
      minDHSize: 1,
      ...(writableHighWaterMark !== undefined && { highWaterMark: writableHighWaterMark }),
      ...(serverName !== '' && { servername: serverName }),
      ...(alpn.length > 0 && { ALPNProtocols: [...alpn] }),
      ...(resumes !== undefined && { session: resumes.session }),
    } as ConnectionOptions);
    const keyLog = this.#keyLog;
    if (keyLog !== undefined)
      socket.on('keylog', (line) => keyLog.write(line, socket.localAddress, socket.remoteAddress));
    return new UpstreamTlsConnection(socket, {
      sessionKey,
      resumes,
      counters: this.#counters,
      environment: this.#environment,
      verifier: current.verifier,
      sessions: current.sessions,
      expected: {
        subjectAltNames: options.subjectAltNames,
        serverName: autoSniSanValidation ? serverName : '',
      },
    });
  }

  countNotReady(): void {
    this.#counters.factory.inc(TLS_SOCKET_FACTORY_STATS.at.upstream_context_secrets_not_ready);
  }

  onSecretsChanged(names: readonly string[]): void {
    this.#counters.countSecretUpdates(names, this.#environment);
    this.#build();
  }

  close(): void {
    for (const name of this.#secretNames) this.#environment.secrets.unsubscribe(name, this);
  }

  /** '' = none; addresses aren't names (RFC 6066 section 3). */
  #serverName(hostname: string, { serverName }: UpstreamTransportOptions): string {
    const { sni, autoHostSni } = this.model;
    const name = serverName !== '' ? serverName : autoHostSni && hostname !== '' ? hostname : sni;
    return isIP(name) === 0 ? name : '';
  }

  #build(): void {
    const { secrets, log, index } = this.#environment;
    const { common, allowRenegotiation, maxSessionKeys } = this.model;
    const material = findMaterial(common, secrets);
    if (material === undefined) {
      this.#current = undefined;
      return;
    }
    const { certificates, validation } = material;
    try {
      const verifier = validation === undefined ? undefined : new PeerVerifier(validation, 'server');
      const options = secureContextOptions({ model: common, validation, verifier, side: 'client' });
      const secure = createSecureContext({
        ...options,
        ...certificateOptions(certificates),
        secureOptions: allowRenegotiation ? 0 : constants.SSL_OP_NO_RENEGOTIATION,
      });
      this.#current = {
        secure,
        verifier: verifier?.isActive === true ? verifier : undefined,
        sessions: new UpstreamSessions(maxSessionKeys),
      };
      if (index === 0) setExpirationGauges(material, this.#scope);
    } catch (error) {
      log.error('config', `TLS context: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/** Those of net.connect that matter here. */
interface KnownConnectOptions {
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
  /** tls.connect has one option for both directions; what is read goes into `onread`'s buffer. */
  readonly writableHighWaterMark?: number;
}

const accept = (): undefined => undefined;

interface ConnectionParts {
  readonly sessionKey: string;
  readonly resumes: UpstreamSession | undefined;
  readonly counters: TlsCounters;
  readonly environment: TlsEnvironment;
  readonly verifier: PeerVerifier | undefined;
  readonly sessions: UpstreamSessions;
  readonly expected: ExpectedNames;
}

class UpstreamTlsConnection implements UpstreamTransportConnection {
  readonly socket: TLSSocket;
  readonly readyEvent = 'secureConnect';
  readonly preamble = undefined;
  readonly #parts: ConnectionParts;
  #ready = false;
  #validated = false;
  #peer: X509Certificate | undefined;
  /** Of a peer that isn't verified yet. */
  #sessions: Buffer[] = [];

  constructor(socket: TLSSocket, parts: ConnectionParts) {
    this.socket = socket;
    this.#parts = parts;
    if (parts.sessions.isEnabled) socket.on('session', (session) => this.#onSession(session));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (this.#ready && error.code?.startsWith('ERR_SSL_') === true) parts.counters.failed('connection_error');
    });
  }

  describe(): TlsInfo {
    return new ConnectionTlsInfo(this.socket, this.#peer, this.#validated, groupOf(this.socket));
  }

  verify(): string | undefined {
    const { verifier, counters, environment, expected, resumes } = this.#parts;
    const { socket } = this;
    const reused = socket.isSessionReused();
    const peer = socket.getPeerX509Certificate() ?? (reused ? resumes?.peer : undefined);
    this.#peer = peer;
    if (verifier !== undefined) {
      const verdict = verifier.verify(socket, peer, expected, environment.dispatcher.clock.epoch());
      if (verdict.failure?.stat !== undefined) counters.failed(verdict.failure.stat);
      if (!verdict.accepted) return verdict.failure!.reason;
      this.#validated = verdict.validated;
    }
    this.#ready = true;
    for (const session of this.#sessions) this.#onSession(session);
    this.#sessions = [];
    const cipher = (socket.getCipher() as { name: string } | undefined)?.name ?? '';
    counters.handshakeDone(socket.getProtocol() ?? '', cipher, groupOf(socket), reused, true);
    return undefined;
  }

  explain(error: NodeJS.ErrnoException): string | undefined {
    if (this.#ready || error.syscall === 'connect' || error.syscall === 'bind') return undefined;
    const failure = handshakeFailure(error, (this.socket.getCipher() as object | undefined) === undefined);
    if (failure.stat !== undefined) this.#parts.counters.failed(failure.stat);
    return failure.reason;
  }

  #onSession(session: Buffer): void {
    const { sessions, sessionKey } = this.#parts;
    if (this.#ready) sessions.put(sessionKey, { session, peer: this.#peer });
    else if (this.#sessions.length < MAX_PENDING_SESSIONS) this.#sessions.push(session);
  }
}

/** As many tickets as servers send at once. */
const MAX_PENDING_SESSIONS = 4;

/** The key exchange's group, as far as the library tells; '' = of a resumed session, or RSA's. */
function groupOf(socket: TLSSocket): string {
  const info = socket.getEphemeralKeyInfo() as { readonly name?: string } | null;
  return info?.name ?? '';
}
