import type { Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { AddressModel } from '../../config/common-model.ts';
import type { FilterChainModel, ListenerModel } from '../../config/listener-model.ts';
import { ResponseFlag } from '../../filters/response-flags.ts';
import type { ConnectionInfo } from '../../filters/stream-info.ts';
import type { AccessLogger, FormatContext } from '../../telemetry/access-log/access-log.ts';
import { Timer } from '../../lib/timer-wheel.ts';
import { LISTENER_STATS, LISTENER_WORKER_STATS, listenerStatPrefix } from '../../telemetry/stats/listener-stats.ts';
import type { StatBlock, StatsScope } from '../../telemetry/stats/stats.ts';
import type { ConnectionInput } from '../codec/connection-io.ts';
import { DownstreamConnectionInfo } from '../connection/connection-info.ts';
import { Connection, type ConnectionSettings } from '../connection/connection.ts';
import type { DownstreamConnection } from '../connection/downstream-connection.ts';
import { MutableStreamInfo } from '../http/stream-info.ts';
import type { WorkerContext } from '../worker-context.ts';
import { ConnectionLimit, type ConnectionCells } from './connection-limit.ts';
import type { Drain } from './drain.ts';
import { FilterChainMatcher } from './filter-chain-match.ts';
import { ListenSocket } from './listen-socket.ts';

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
  /** Connections shall end: idle ones now, others after their response. */
  drain(): void;
}

export interface ListenerOptions {
  /** For a chain with filters. `scope` is `listener.<address>.` */
  readonly createFilterChain: (model: FilterChainModel, listener: ListenerModel, scope: StatsScope) => FilterChain;
  /** The server's; the listener makes its own from it. */
  readonly drain: Drain;
  /** Absent: no limits. */
  readonly connectionCells?: Omit<ConnectionCells, 'listenerSlot'>;
  /** Numbers connections; unique in the process. */
  readonly nextConnectionId: () => number;
}

/** A chain without filters: its connections are closed. */
const CLOSES: FilterChain = {
  delayedCloseTimeoutMs: 0,
  onDelayedCloseTimeout: () => {},
  onConnection: () => undefined,
  drain: () => {},
};

/** Filter chain and what its connections share. */
interface ActiveChain {
  readonly model: FilterChainModel;
  readonly chain: FilterChain;
  readonly settings: ConnectionSettings;
  readonly drain: Drain;
}

/**
 * One listener on one worker: its sockets, its filter chains and its connections. With `reusePort` each worker has
 * sockets of its own; a Unix socket, which can't be shared that way, is worker 0's.
 */
export class Listener {
  readonly drain: Drain;
  #model: ListenerModel;
  readonly #worker: WorkerContext;
  readonly #options: ListenerOptions;
  readonly #scope: StatsScope;
  readonly #stats: StatBlock;
  readonly #workerStats: StatBlock;
  readonly #limit: ConnectionLimit | undefined;
  readonly #connections = new Map<Connection, ActiveChain>();
  #sockets: ListenSocket[] = [];
  #matcher: FilterChainMatcher<ActiveChain>;
  #chains: readonly ActiveChain[] = [];
  #loggers: readonly AccessLogger[];

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
    this.#loggers = model.accessLogs.map((log) => worker.accessLogs.create(log));
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
    [this.#chains, this.#matcher] = this.#compile(model);
    for (const active of old) {
      if (this.#chains.includes(active)) continue;
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
    for (const connection of this.#connections.keys()) connection.close('abort');
  }

  #closeAfterDrain(active: ActiveChain): void {
    const onTimer = (): void => {
      for (const [connection, chain] of this.#connections) if (chain === active) connection.close('flush-no-delay');
    };
    this.#worker.dispatcher.arm(new Timer({ onTimer }), active.drain.drainTimeMs);
  }

  #open(address: AddressModel): Promise<ListenSocket> {
    const { reusePort, backlog, perConnectionBufferLimitBytes, keepAlive } = this.#model;
    const pipe = address.kind === 'pipe' ? address.path : '';
    return ListenSocket.open({
      address,
      reusePort,
      backlog,
      bufferLimit: perConnectionBufferLimitBytes,
      keepAlive,
      onConnection: (socket) => this.#accept(socket, pipe),
    });
  }

  #compile(model: ListenerModel): [readonly ActiveChain[], FilterChainMatcher<ActiveChain>] {
    const pairs = model.filterChains.map((chain) => [chain, this.#activate(chain, model)] as const);
    const ofDefault = model.defaultFilterChain;
    const fallback = ofDefault === undefined ? undefined : this.#activate(ofDefault, model);
    const chains = pairs.map(([, active]) => active);
    if (fallback !== undefined) chains.push(fallback);
    return [chains, new FilterChainMatcher(pairs, fallback)];
  }

  #activate(model: FilterChainModel, listener: ListenerModel): ActiveChain {
    const bufferLimit = listener.perConnectionBufferLimitBytes;
    for (const active of this.#chains)
      if (active.settings.bufferLimit === bufferLimit && isDeepStrictEqual(active.model, model)) return active;
    const drain = this.drain.child();
    const chain =
      model.networkFilters.length === 0 ? CLOSES : this.#options.createFilterChain(model, listener, this.#scope);
    const settings: ConnectionSettings = {
      dispatcher: this.#worker.dispatcher,
      log: this.#worker.log,
      bufferLimit,
      delayedCloseTimeoutMs: chain.delayedCloseTimeoutMs,
      onDelayedCloseTimeout: () => chain.onDelayedCloseTimeout(),
      shouldDrain: () => drain.shouldDrain(),
      transport: undefined,
      onClosed: (connection) => this.#onClosed(connection),
    };
    return { model, chain, settings, drain };
  }

  #accept(socket: Socket, pipe: string): void {
    const { dispatcher } = this.#worker;
    dispatcher.begin();
    try {
      this.#onAccept(socket, pipe);
    } catch (error) {
      socket.destroy();
      this.#worker.log.error('listener', `accepting failed: ${error instanceof Error ? error.stack : String(error)}`);
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
    const { dispatcher } = this.#worker;
    const info = new DownstreamConnectionInfo(this.#options.nextConnectionId(), socket, pipe, dispatcher.now);
    const active = this.#matcher.match(info);
    if (active === undefined) {
      stats.inc(AT.no_filter_chain_match);
      this.#limit?.release();
      reject(socket);
      this.#log(info, ResponseFlag.NR, 'filter_chain_not_found', 0, 0);
      return;
    }
    info.filterChainName = active.model.name;
    const connection = new Connection(socket, info, active.settings);
    this.#connections.set(connection, active);
    stats.inc(AT.downstream_cx_total);
    stats.inc(AT.downstream_cx_active);
    this.#workerStats.inc(WORKER_AT.downstream_cx_total);
    this.#workerStats.inc(WORKER_AT.downstream_cx_active);
    const input = active.chain.onConnection(connection);
    if (input === undefined) connection.close('abort');
    else connection.start(input);
  }

  #onClosed(connection: Connection): void {
    if (!this.#connections.delete(connection)) return;
    this.#limit?.release();
    const stats = this.#stats;
    stats.inc(AT.downstream_cx_destroy);
    stats.dec(AT.downstream_cx_active);
    this.#workerStats.dec(WORKER_AT.downstream_cx_active);
    stats.record(AT.downstream_cx_length_ms, Math.floor(this.#worker.dispatcher.now - connection.info.startMs));
    this.#log(connection.info, 0, '', connection.bytesReceived, connection.bytesSent);
  }

  /** The listener's own access logs have one record a connection. */
  #log(info: ConnectionInfo, flag: number, details: string, bytesReceived: number, bytesSent: number): void {
    if (this.#loggers.length === 0) return;
    const { dispatcher } = this.#worker;
    const startEpochMs = dispatcher.epochNow - (dispatcher.now - info.startMs);
    const stream = new MutableStreamInfo(info, '', info.startMs, startEpochMs);
    stream.endMs = dispatcher.now;
    stream.setFlag(flag);
    stream.responseCodeDetails = details;
    stream.bytesReceived = bytesReceived;
    stream.bytesSent = bytesSent;
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
  socket.on('error', () => {});
  socket.destroy();
}
