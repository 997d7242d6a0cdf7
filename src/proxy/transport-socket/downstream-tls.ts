import type { Socket } from 'node:net';
import type { DownstreamTlsModel } from '../../config/transport-socket-model.ts';
import { TLS_SOCKET_FACTORY_STATS } from '../../telemetry/stats/tls-stats.ts';
import type { StatsScope } from '../../telemetry/stats/stats.ts';
import { setExpirationGauges } from './certificate-gauges.ts';
import { DownstreamTlsContext } from './downstream-tls-context.ts';
import {
  DownstreamHandshake,
  handshakePrototype,
  startHandshake,
  type HandshakePrototype,
  type HandshakeSettings,
} from './downstream-handshake.ts';
import { KeyLogFile } from './key-log-file.ts';
import { readOfferedProtocols } from './offered-protocols.ts';
import type { SecretListener } from './secret-set.ts';
import { TlsCounters } from './tls-counters.ts';
import type { TlsEnvironment } from './tls-environment.ts';
import { findMaterial, secretNames } from './tls-material.ts';
import type { DownstreamTransportSocket, HandshakeOwner } from './transport-socket.ts';

/** A version of the context, and what its servers' sockets are given to. */
interface Current {
  readonly context: DownstreamTlsContext;
  readonly withAlpn: HandshakePrototype;
  withoutAlpn: HandshakePrototype | undefined;
}

/**
 * The TLS of one filter chain on one worker (DownstreamTlsContext). A secret that changes makes a new context for the
 * handshakes to come; one that the library refuses leaves the old one in use.
 */
export class DownstreamTls implements DownstreamTransportSocket, SecretListener {
  readonly #model: DownstreamTlsModel;
  readonly #scope: StatsScope;
  readonly #environment: TlsEnvironment;
  readonly #settings: HandshakeSettings;
  readonly #counters: TlsCounters;
  readonly #secretNames: readonly string[];
  #current: Current | undefined;

  /** `scope`: the listener's. */
  constructor(model: DownstreamTlsModel, scope: StatsScope, environment: TlsEnvironment) {
    this.#model = model;
    this.#scope = scope;
    this.#environment = environment;
    this.#counters = new TlsCounters(scope, 'server');
    const { keyLog } = model.common;
    this.#settings = {
      environment,
      counters: this.#counters,
      keyLog: keyLog === undefined ? undefined : new KeyLogFile(keyLog, environment.log),
    };
    const { ticketKeys } = model;
    this.#secretNames = [...secretNames(model.common), ...(ticketKeys?.kind === 'secret' ? [ticketKeys.name] : [])];
    for (const name of this.#secretNames) environment.secrets.subscribe(name, this);
    this.#counters.countSecretUpdates(this.#secretNames, environment);
    this.#build();
  }

  get isReady(): boolean {
    return this.#current !== undefined;
  }

  wrap(socket: Socket, owner: HandshakeOwner, applicationProtocols?: readonly string[]): void {
    const current = this.#current;
    if (current === undefined) {
      // Owners ask isReady before.
      this.#counters.factory.inc(TLS_SOCKET_FACTORY_STATS.at.downstream_context_secrets_not_ready);
      this.#environment.dispatcher.post(() => owner.onHandshakeFailed(''));
      return;
    }
    const handshake = new DownstreamHandshake(socket, owner, current.context, this.#settings);
    const known = this.#model.common.alpnProtocols;
    if (known.length === 0) startHandshake(current.withAlpn, handshake);
    else if (applicationProtocols !== undefined) this.#start(current, handshake, applicationProtocols);
    else readOfferedProtocols(socket, (offered) => this.#start(current, handshake, offered));
  }

  onSecretsChanged(names: readonly string[]): void {
    this.#counters.countSecretUpdates(names, this.#environment);
    this.#build();
  }

  close(): void {
    for (const name of this.#secretNames) this.#environment.secrets.unsubscribe(name, this);
  }

  #start(current: Current, handshake: DownstreamHandshake, offered: readonly string[]): void {
    const known = this.#model.common.alpnProtocols;
    if (offered.length === 0 || offered.some((protocol) => known.includes(protocol)))
      startHandshake(current.withAlpn, handshake);
    else startHandshake((current.withoutAlpn ??= this.#prepare(current.context.serverWithoutAlpn)), handshake);
  }

  #build(): void {
    const { secrets, log, index } = this.#environment;
    const material = findMaterial(this.#model.common, secrets);
    const ticketKey = this.#ticketKey();
    // Envoy stops serving with a secret that has gone.
    if (material === undefined || ticketKey === undefined) {
      this.#current = undefined;
      return;
    }
    try {
      const context = new DownstreamTlsContext(this.#model, material, ticketKey);
      this.#current = { context, withAlpn: this.#prepare(context.server), withoutAlpn: undefined };
      if (index === 0) setExpirationGauges(material, this.#scope);
    } catch (error) {
      log.error('config', `TLS context: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #prepare(server: DownstreamTlsContext['server']): HandshakePrototype {
    if (this.#settings.keyLog !== undefined) server.on('keylog', nothing);
    return handshakePrototype(server);
  }

  /** Undefined: it hasn't come. Only the first key encrypts, and Node has room for no other. */
  #ticketKey(): Uint8Array | undefined {
    const { ticketKeys, ownTicketKeys } = this.#model;
    if (ticketKeys === undefined) return ownTicketKeys;
    const model =
      ticketKeys.kind === 'inline' ? ticketKeys.value : this.#environment.secrets.get('ticket-keys', ticketKeys.name);
    return model === undefined ? undefined : (model.keys[0] ?? ownTicketKeys);
  }
}

function nothing(): void {}
