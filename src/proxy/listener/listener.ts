import type { Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { AddressModel } from '../../config/common-model.ts';
import type { FilterChainModel, ListenerModel } from '../../config/listener-model.ts';
import type { DownstreamTransportSocketModel } from '../../config/transport-socket-model.ts';
import type { ListenerFilterRegistry } from '../../filters/listener-registry.ts';
import { ResponseFlag } from '../../filters/response-flags.ts';
import type { AccessLogger, FormatContext } from '../../telemetry/access-log/access-log.ts';
import type { SocketCalls } from '../../lib/posix/socket-calls.ts';
import { Timer } from '../../lib/timer-wheel.ts';
import { LISTENER_STATS, LISTENER_WORKER_STATS, listenerStatPrefix } from '../../telemetry/stats/listener-stats.ts';
import type { StatBlock, StatsScope } from '../../telemetry/stats/stats.ts';
import type { ConnectionInput } from '../codec/connection-io.ts';
import { DownstreamConnectionInfo } from '../connection/connection-info.ts';
import { Connection, type ConnectionSettings, type TransportSettings } from '../connection/connection.ts';
import type { DownstreamConnection } from '../connection/downstream-connection.ts';
import { MutableStreamInfo } from '../http/stream-info.ts';
import type { DownstreamTransportSocket } from '../transport-socket/transport-socket.ts';
import type { WorkerContext } from '../worker-context.ts';
import { ConnectionLimit, type ConnectionCells } from './connection-limit.ts';
import type { Drain } from './drain.ts';
import { compileFilterChainMatch, compileFilterChainTree, type FilterChainMatcher } from './filter-chain-match.ts';
import { sameButDiscovered } from './listener-comparison.ts';
import { ListenSocket } from './listen-socket.ts';
import { OriginalDestinations } from './original-destination.ts';
import { compileListenerFilters, type CompiledListenerFilter } from './listener-filters.ts';
import { PendingConnection, type PendingEnd, type PendingOwner } from './pending-connection.ts';
import { PendingHandshakes } from './pending-handshakes.ts';

const AT = LISTENER_STATS.at;
const WORKER_AT = LISTENER_WORKER_STATS.at;

/** A filter chain, compiled for one worker. Made by whoever knows the network filters. */
export interface FilterChain {
  /** Of its connection manager; 0 = a connection that we are done with is closed at once. */
  readonly delayedCloseTimeoutMs: number;
  onDelayedCloseTimeout(): void;
  /** The peer may end its half and go on reading, whatever the filters are doing. Absent: the input says. */
  readonly allowsHalfClose?: boolean;
  /** Makes the object that a new connection's bytes go to. Undefined: the chain has no filters; close it. */
  onConnection(connection: DownstreamConnection): ConnectionInput | undefined;
  /**
   * The same where network filters come first: it is there from the start, as in Envoy (it counts the connection, and
   * may keep it from being read), and begins its work with `start`. Absent: `onConnection` does for both.
   */
  prepareConnection?(connection: DownstreamConnection): ConnectionInput & { start(): void };
  /**
   * Takes over other configs of filters that are delivered apart: connections stay. False: this chain can't. Absent: it
   * has no filters that could be.
   */
  updateFilters?(model: FilterChainModel): boolean;
  /** Connections shall end: idle ones now, others after their response. */
  drain(): void;
  /** No connection will use it any more: gives back what it has claimed. Absent: nothing. */
  close?(): void;
}

export interface ListenerOptions {
  /** For a chain with filters. `scope` is `listener.<address>.` */
  readonly createFilterChain: (model: FilterChainModel, listener: ListenerModel, scope: StatsScope) => FilterChain;
  /** Makes the transport socket of a chain that has one. `scope` is `listener.<address>.` */
  readonly createTransportSocket?: (
    model: DownstreamTransportSocketModel,
    scope: StatsScope,
  ) => DownstreamTransportSocket;
  /** Has prepared the listener's filters. */
  readonly listenerFilters?: ListenerFilterRegistry;
  /** Shared by the listeners of a worker. */
  readonly handshakes?: PendingHandshakes;
  /** The listener that connections to this address belong to (`use_original_dst`). */
  readonly findListener?: (ip: string, port: number) => Listener | undefined;
  /** For what Node has no API for (`transparent`, redirected connections); undefined where it can't be had. */
  readonly socketCalls?: () => SocketCalls | undefined;
  /** The server's; the listener makes its own from it. */
  readonly drain: Drain;
  /** Absent: no limits. */
  readonly connectionCells?: Omit<ConnectionCells, 'listenerSlot'>;
  /** Numbers connections; unique in the process. */
  readonly nextConnectionId: () => number;
}

/** As Envoy says it for certificates that haven't come. */
const NO_SECRETS = 'TLS error: Secret is not supplied by SDS';

/** A chain without filters: its connections are closed. */
const CLOSES: FilterChain = {
  delayedCloseTimeoutMs: 0,
  onDelayedCloseTimeout: () => {},
  onConnection: () => undefined,
  drain: () => {},
};

/** Filter chain and what its connections share. */
interface ActiveChain {
  model: FilterChainModel;
  readonly chain: FilterChain;
  readonly settings: ConnectionSettings;
  readonly transportSocket: DownstreamTransportSocket | undefined;
  readonly drain: Drain;
}

/**
 * One listener on one worker: its sockets, its filter chains and its connections. With `reusePort` each worker has
 * sockets of its own; a Unix socket, which can't be shared that way, is worker 0's.
 */
export class Listener implements PendingOwner {
  readonly drain: Drain;
  #model: ListenerModel;
  readonly #worker: WorkerContext;
  readonly #options: ListenerOptions;
  readonly #scope: StatsScope;
  readonly #stats: StatBlock;
  readonly #workerStats: StatBlock;
  readonly #limit: ConnectionLimit | undefined;
  readonly #connections = new Map<Connection, ActiveChain>();
  /** Those that listener filters are looking at. */
  readonly #pending = new Set<PendingConnection>();
  readonly #handshakes: PendingHandshakes;
  #originalDestinations: OriginalDestinations | undefined = undefined;
  #sockets: ListenSocket[] = [];
  #matcher: FilterChainMatcher<ActiveChain>;
  #chains: readonly ActiveChain[] = [];
  #loggers: readonly AccessLogger[];
  #filters: readonly CompiledListenerFilter[];

  constructor(model: ListenerModel, worker: WorkerContext, options: ListenerOptions) {
    this.#model = model;
    this.#worker = worker;
    this.#options = options;
    this.drain = options.drain.child(model.drainType);
    const prefix = listenerStatPrefix(model.address, model.statPrefix);
    this.#scope = worker.stats.scope(prefix);
    this.#stats = this.#scope.block(LISTENER_STATS);
    this.#workerStats = this.#scope.scope(`worker_${worker.index}.`).block(LISTENER_WORKER_STATS);
    if (options.connectionCells !== undefined)
      this.#limit = new ConnectionLimit(
        { ...options.connectionCells, listenerSlot: model.connectionSlot },
        worker.runtime,
        model.name,
        model.ignoreGlobalConnectionLimit,
      );
    this.#handshakes = options.handshakes ?? new PendingHandshakes(worker.runtime);
    this.#loggers = model.accessLogs.map((log) => worker.accessLogs.create(log));
    this.#filters = this.#compileFilters(model);
    [this.#chains, this.#matcher] = this.#compile(model);
  }

  get model(): ListenerModel {
    return this.#model;
  }

  /** The addresses that this worker listens on, with the ports that the system chose. */
  get addresses(): readonly AddressModel[] {
    return this.#sockets.map(({ address }) => address);
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Opens all sockets, or none: rejects with the reason if one can't be bound. `addresses` replaces the model's. */
  async listen(addresses?: readonly AddressModel[]): Promise<void> {
    const { address, additionalAddresses, bindToPort } = this.#model;
    if (!bindToPort) return;
    const wanted = (addresses ?? [address, ...additionalAddresses]).filter(({ kind }) =>
      kind === 'socket' ? this.#model.reusePort || this.#worker.index === 0 : this.#worker.index === 0,
    );
    const opened = await Promise.allSettled(wanted.map((each) => this.#open(each)));
    const failure = opened.find((result) => result.status === 'rejected');
    const sockets = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    if (failure !== undefined) {
      await Promise.all(sockets.map((socket) => socket.close()));
      throw failure.reason;
    }
    this.#sockets = sockets;
  }

  /**
   * Takes over a new version of the listener with the same addresses. Chains whose config is the same keep their
   * connections; those of others drain: they close as responses go out, and those that are left after the drain time.
   */
  update(model: ListenerModel): void {
    const old = this.#chains;
    this.#model = model;
    this.#loggers = model.accessLogs.map((log) => this.#worker.accessLogs.create(log));
    this.#filters = this.#compileFilters(model);
    [this.#chains, this.#matcher] = this.#compile(model);
    for (const active of old) {
      if (this.#chains.includes(active)) continue;
      active.transportSocket?.close();
      active.drain.start();
      this.#closeAfterDrain(active);
    }
  }

  /** Asks every connection to end: an idle one now, another after its response, and all after the drain time. */
  drainConnections(): void {
    if (this.drain.hasStarted) return;
    this.drain.start();
    for (const active of new Set(this.#connections.values())) {
      active.chain.drain();
      this.#closeAfterDrain(active);
    }
  }

  /** Stops accepting; connections stay. */
  async stopAccepting(): Promise<void> {
    const sockets = this.#sockets;
    this.#sockets = [];
    await Promise.all(sockets.map((socket) => socket.close()));
  }

  /** Ends everything now. Idempotent. */
  async close(): Promise<void> {
    await this.stopAccepting();
    for (const pending of this.#pending) {
      pending.destroy();
      this.#forget(pending);
    }
    for (const connection of this.#connections.keys()) connection.close('abort');
    for (const { transportSocket, chain } of this.#chains) {
      transportSocket?.close();
      chain.close?.();
    }
  }

  #closeAfterDrain(active: ActiveChain): void {
    const onTimer = (): void => {
      for (const [connection, chain] of this.#connections) if (chain === active) connection.close('flush-no-delay');
      active.chain.close?.();
    };
    this.#worker.dispatcher.arm(new Timer({ onTimer }), active.drain.drainTimeMs);
  }

  #open(address: AddressModel): Promise<ListenSocket> {
    const { reusePort, backlog, perConnectionBufferLimitBytes, keepAlive, transparent } = this.#model;
    const pipe = address.kind === 'pipe' ? address.path : '';
    return ListenSocket.open({
      address,
      reusePort,
      backlog,
      bufferLimit: perConnectionBufferLimitBytes,
      keepAlive,
      transparentBy: transparent ? (this.#options.socketCalls?.() ?? 'nobody') : undefined,
      onConnection: (socket) => this.#accept(socket, pipe),
    });
  }

  #compile(model: ListenerModel): [readonly ActiveChain[], FilterChainMatcher<ActiveChain>] {
    const pairs = model.filterChains.map((chain) => [chain, this.#activate(chain, model)] as const);
    const ofDefault = model.defaultFilterChain;
    const fallback = ofDefault === undefined ? undefined : this.#activate(ofDefault, model);
    const chains = pairs.map(([, active]) => active);
    if (fallback !== undefined) chains.push(fallback);
    const tree = model.filterChainMatcher;
    const matcher =
      tree === undefined ? compileFilterChainMatch(pairs, fallback) : compileFilterChainTree(tree, pairs, fallback);
    return [chains, matcher];
  }

  #compileFilters(model: ListenerModel): readonly CompiledListenerFilter[] {
    const { listenerFilters } = this.#options;
    if (model.listenerFilters.length === 0) return [];
    if (listenerFilters === undefined)
      throw new Error(`listener '${model.name}' has filters, and there is no registry`);
    return compileListenerFilters(model.listenerFilters, listenerFilters, this.#worker, this.#scope);
  }

  #activate(model: FilterChainModel, listener: ListenerModel): ActiveChain {
    const bufferLimit = listener.perConnectionBufferLimitBytes;
    for (const active of this.#chains) {
      if (active.settings.bufferLimit !== bufferLimit) continue;
      if (isDeepStrictEqual(active.model, model)) return active;
      if (!sameButDiscovered(active.model, model) || active.chain.updateFilters?.(model) !== true) continue;
      active.model = model;
      return active;
    }
    const drain = this.drain.child();
    const chain =
      model.networkFilters.length === 0 ? CLOSES : this.#options.createFilterChain(model, listener, this.#scope);
    const transportSocket = this.#createTransportSocket(model);
    const settings: ConnectionSettings = {
      dispatcher: this.#worker.dispatcher,
      log: this.#worker.log,
      bufferLimit,
      delayedCloseTimeoutMs: chain.delayedCloseTimeoutMs,
      onDelayedCloseTimeout: () => chain.onDelayedCloseTimeout(),
      shouldDrain: () => drain.shouldDrain(),
      transport: transportSocket === undefined ? undefined : this.#transportSettings(model, transportSocket),
      onClosed: (connection) => this.#onClosed(connection),
    };
    return { model, chain, settings, transportSocket, drain };
  }

  #createTransportSocket({ transportSocket }: FilterChainModel): DownstreamTransportSocket | undefined {
    if (transportSocket === undefined) return undefined;
    const { createTransportSocket } = this.#options;
    if (createTransportSocket === undefined) throw new Error(`no transport socket of kind '${transportSocket.kind}'`);
    return createTransportSocket(transportSocket, this.#scope);
  }

  #transportSettings(model: FilterChainModel, socket: DownstreamTransportSocket): TransportSettings {
    return {
      socket,
      connectTimeoutMs: model.transportSocketConnectTimeoutMs ?? 0,
      onConnectTimeout: () => this.#stats.inc(AT.downstream_cx_transport_socket_connect_timeout),
      onHandshakeDone: (connection) => this.#handshakes.delete(connection),
    };
  }

  #accept(socket: Socket, pipe: string): void {
    const { dispatcher } = this.#worker;
    dispatcher.begin();
    try {
      this.#onAccept(socket, pipe);
    } catch (error) {
      socket.destroy();
      this.#worker.log.error('listener', `accepting failed: ${describe(error)}`);
    } finally {
      dispatcher.end();
    }
  }

  #onAccept(socket: Socket, pipe: string): void {
    const stats = this.#stats;
    stats.record(AT.connections_accepted_per_socket_event, 1);
    const verdict = this.#limit?.acquire() ?? 'ok';
    if (verdict !== 'ok') {
      stats.inc(verdict === 'global' ? AT.downstream_global_cx_overflow : AT.downstream_cx_overflow);
      reject(socket);
      return;
    }
    const info = new DownstreamConnectionInfo(
      this.#options.nextConnectionId(),
      socket,
      pipe,
      this.#worker.dispatcher.now,
    );
    this.#inspect(socket, info, false);
  }

  /** A connection that another listener has accepted, and that was going to our address. It stays here. */
  takeOver(socket: Socket, info: DownstreamConnectionInfo): void {
    const verdict = this.#limit?.acquire() ?? 'ok';
    if (verdict === 'ok') this.#inspect(socket, info, true);
    else {
      this.#stats.inc(verdict === 'global' ? AT.downstream_global_cx_overflow : AT.downstream_cx_overflow);
      reject(socket);
    }
  }

  /** Has the listener filters look at a connection, if there are any; then it gets its filter chain. */
  #inspect(socket: Socket, info: DownstreamConnectionInfo, isHandedOn: boolean): void {
    info.listenerName = this.#model.name;
    if (this.#filters.length === 0) {
      this.#dispatch(socket, info, isHandedOn);
      return;
    }
    socket.on('error', ignore);
    const pending = new PendingConnection(socket, info, isHandedOn, this);
    this.#pending.add(pending);
    this.#stats.inc(AT.downstream_pre_cx_active);
    pending.start();
  }

  // ---- from the listener filters ----------------------------------------------------------------------------------

  get dispatcher(): WorkerContext['dispatcher'] {
    return this.#worker.dispatcher;
  }
  get filters(): readonly CompiledListenerFilter[] {
    return this.#filters;
  }
  get filtersTimeoutMs(): number {
    return this.#model.listenerFiltersTimeoutMs;
  }
  get continueOnTimeout(): boolean {
    return this.#model.continueOnListenerFiltersTimeout;
  }

  onFiltersDone(pending: PendingConnection): void {
    this.#forget(pending);
    this.#dispatch(pending.socket, pending.info, pending.isHandedOn);
  }

  onFiltersEnded(pending: PendingConnection, why: PendingEnd): void {
    this.#forget(pending);
    this.#limit?.release();
    if (why === 'remote') this.#stats.inc(AT.downstream_listener_filter_remote_close);
    this.#log(this.#streamInfo(pending.info));
  }

  onFiltersTimeout(): void {
    this.#stats.inc(AT.downstream_pre_cx_timeout);
  }

  onFilterFailed(error: unknown): void {
    this.#worker.log.error('listener', `a listener filter failed: ${describe(error)}`);
  }

  originalDestination(
    socket: Socket,
    info: DownstreamConnectionInfo,
  ): { readonly ip: string; readonly port: number } | undefined {
    // With TPROXY the kernel leaves the destination as it is.
    if (this.#model.transparent) return { ip: info.localIp, port: info.localPort };
    const calls = this.#options.socketCalls?.();
    if (calls === undefined) return undefined;
    return (this.#originalDestinations ??= new OriginalDestinations(calls)).find(socket, info);
  }

  #forget(pending: PendingConnection): void {
    if (this.#pending.delete(pending)) this.#stats.dec(AT.downstream_pre_cx_active);
  }

  // ---- to a filter chain ------------------------------------------------------------------------------------------

  #dispatch(socket: Socket, info: DownstreamConnectionInfo, isHandedOn: boolean): void {
    if (info.localAddressRestored && this.#model.useOriginalDst && !isHandedOn) {
      const other = this.#options.findListener?.(info.localIp, info.localPort);
      if (other !== undefined) {
        this.#limit?.release();
        other.takeOver(socket, info);
        return;
      }
    }
    if (info.transportProtocol === '') info.transportProtocol = 'raw_buffer';
    const active = this.#matcher(info);
    if (active === undefined) {
      this.#stats.inc(AT.no_filter_chain_match);
      this.#limit?.release();
      reject(socket);
      const stream = this.#streamInfo(info);
      stream.setFlag(ResponseFlag.NR);
      stream.responseCodeDetails = 'filter_chain_not_found';
      this.#log(stream);
      return;
    }
    if (active.transportSocket !== undefined && !this.#handshakes.admit(this.#worker.dispatcher.now)) {
      this.#stats.inc(AT.downstream_cx_overload_reject);
      this.#limit?.release();
      reject(socket);
      return;
    }
    this.#connect(socket, info, active);
  }

  #connect(socket: Socket, info: DownstreamConnectionInfo, active: ActiveChain): void {
    info.filterChainName = active.model.name;
    const { transportSocket } = active;
    const isReady = transportSocket?.isReady !== false;
    if (!isReady) info.transportFailureReason = NO_SECRETS;
    const connection = new Connection(
      socket,
      info,
      isReady ? active.settings : { ...active.settings, transport: undefined },
    );
    this.#connections.set(connection, active);
    if (transportSocket !== undefined && isReady) this.#handshakes.add(connection);
    const stats = this.#stats;
    stats.inc(AT.downstream_cx_total);
    stats.inc(AT.downstream_cx_active);
    this.#workerStats.inc(WORKER_AT.downstream_cx_total);
    this.#workerStats.inc(WORKER_AT.downstream_cx_active);
    const input = active.chain.onConnection(connection);
    if (input === undefined) connection.close('abort');
    else connection.start(input);
    if (!isReady) connection.close('abort');
  }

  #onClosed(connection: Connection): void {
    const active = this.#connections.get(connection);
    if (active === undefined) return;
    this.#connections.delete(connection);
    if (active.transportSocket !== undefined) this.#handshakes.delete(connection);
    this.#limit?.release();
    const stats = this.#stats;
    stats.inc(AT.downstream_cx_destroy);
    stats.dec(AT.downstream_cx_active);
    this.#workerStats.dec(WORKER_AT.downstream_cx_active);
    stats.record(AT.downstream_cx_length_ms, Math.floor(this.#worker.dispatcher.now - connection.info.startMs));
    if (this.#loggers.length > 0) this.#log(connection.streamInfo);
  }

  /** Of a connection that no filter chain got. */
  #streamInfo(info: DownstreamConnectionInfo): MutableStreamInfo {
    const { dispatcher } = this.#worker;
    const startEpochMs = dispatcher.epochNow - (dispatcher.now - info.startMs);
    const stream = new MutableStreamInfo(info, '', info.startMs, startEpochMs);
    info.shareState(stream);
    return stream;
  }

  /** The listener's own access logs have one record a connection. */
  #log(stream: MutableStreamInfo): void {
    if (this.#loggers.length === 0) return;
    stream.endMs = this.#worker.dispatcher.now;
    const context: FormatContext = {
      info: stream,
      requestHeaders: undefined,
      responseHeaders: undefined,
      responseTrailers: undefined,
      localReplyBody: '',
      accessLogType: 'NotSet',
    };
    for (const logger of this.#loggers) logger.log(context);
  }
}

/** Closes a connection that nobody takes. */
function reject(socket: Socket): void {
  socket.on('error', ignore);
  // As the kernel ends a socket with unread bytes: some have been put back by listener filters.
  if (socket.readableLength > 0 && socket.remotePort !== undefined) socket.resetAndDestroy();
  else socket.destroy();
}

function ignore(): void {}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
