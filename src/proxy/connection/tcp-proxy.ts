import type { Metadata } from '../../filters/stream-info.ts';
import type { ConnectionInfo } from '../../filters/stream-info.ts';
import { ResponseFlag } from '../../filters/response-flags.ts';
import { hash64 } from '../../lib/hash64.ts';
import { Timer, type TimerTask } from '../../lib/timer-wheel.ts';
import type { FormatContext } from '../../telemetry/access-log/access-log.ts';
import { TCP_PROXY_STATS } from '../../telemetry/stats/tcp-proxy-stats.ts';
import type { ConnectionInput } from '../codec/connection-io.ts';
import type { MutableStreamInfo } from '../http/stream-info.ts';
import { CLUSTER_STATS } from '../upstream/cluster-stats.ts';
import type { Cluster, Host, LoadBalancerContext, PoolFailureReason } from '../upstream/upstream.ts';
import type { DownstreamConnection } from './downstream-connection.ts';
import { TcpConnectionUpstream } from './tcp-connection-upstream.ts';
import { TcpFlush } from './tcp-flush.ts';
import type { TcpProxyConfig } from './tcp-proxy-config.ts';
import { tcpTransportOptions } from './tcp-transport-options.ts';
import { TcpTunnelUpstream } from './tcp-tunnel-upstream.ts';
import type { TcpUpstream, TcpUpstreamOwner } from './tcp-upstream.ts';

const AT = TCP_PROXY_STATS.at;
const CLUSTER_AT = CLUSTER_STATS.at;
/** Filter state: the idle timeout of one connection, in ms. */
const IDLE_TIMEOUT = 'envoy.tcp_proxy.per_connection_idle_timeout_ms';
/** Filter state: true = this connection does not go through a tunnel. */
const DISABLE_TUNNELING = 'envoy.tcp_proxy.disable_tunneling';

/**
 * One proxied TCP connection (Envoy's TCP proxy filter): finds an upstream, hands bytes both ways, and ends when either
 * side does. The downstream is not read before there is an upstream.
 */
export class TcpProxy implements ConnectionInput, TcpUpstreamOwner, LoadBalancerContext, TimerTask {
  readonly allowsHalfClose = true;
  readonly #config: TcpProxyConfig;
  readonly #connection: DownstreamConnection;
  readonly #info: MutableStreamInfo;
  #cluster: Cluster | undefined = undefined;
  /** Wanted, or there. */
  #upstream: TcpUpstream | undefined = undefined;
  #connected = false;
  #closed = false;
  #attempts = 0;
  #downstreamEnded = false;
  #upstreamEnded = false;
  #downstreamPaused = false;
  #upstreamPaused = false;
  /** What the downstream sent (and network filters held) before there was an upstream. */
  #early: Buffer[] | undefined = undefined;
  #idleTimeoutMs: number;
  readonly #idleTimer: Timer = new Timer(this);
  #durationTimer: Timer | undefined = undefined;
  #logTimer: Timer | undefined = undefined;
  #retryTimer: Timer | undefined = undefined;
  #lastRead = 0;
  #buffered = 0;
  /** Bytes that came this far. */
  #received = 0;
  #metadataMatch: Metadata | undefined = undefined;

  constructor(config: TcpProxyConfig, connection: DownstreamConnection) {
    this.#config = config;
    this.#connection = connection;
    this.#info = connection.streamInfo;
    this.#idleTimeoutMs = config.model.idleTimeoutMs;
    config.stats.inc(AT.downstream_cx_total);
    connection.pauseRead();
  }

  /** Looks for an upstream. To be called once, when the network filters before it have let the connection through. */
  start(): void {
    const { model, worker } = this.#config;
    const { dispatcher } = worker;
    if (model.maxDownstreamConnectionDurationMs > 0) {
      this.#durationTimer = new Timer(this);
      const jitter = (model.durationJitterPercent / 100) * worker.random.unit();
      dispatcher.arm(this.#durationTimer, model.maxDownstreamConnectionDurationMs * (1 + jitter));
    }
    if (model.accessLogFlushIntervalMs > 0 && this.#config.loggers.length > 0) {
      this.#logTimer = new Timer(this);
      dispatcher.arm(this.#logTimer, model.accessLogFlushIntervalMs);
    }
    this.#connect();
  }

  // ---- LoadBalancerContext ----------------------------------------------------------------------------------------

  readonly overrideHost = undefined;
  readonly overrideHostStrict = false;
  readonly hostSelectionRetries = 0;

  get metadataMatch(): Metadata | undefined {
    return this.#metadataMatch;
  }

  /** For clusters that go where the connection wanted. */
  get streamInfo(): MutableStreamInfo {
    return this.#info;
  }

  get hash(): bigint | undefined {
    for (const policy of this.#config.model.hashPolicies) {
      if (policy.kind === 'source-ip') {
        const { remoteIp } = this.#connection.info;
        if (remoteIp !== '') return hash64(remoteIp);
      } else {
        const value = this.#info.filterState.get(policy.key);
        if (typeof value === 'string') return hash64(Buffer.from(value, 'utf8').toString('latin1'));
      }
    }
    return undefined;
  }

  rejectHost(): boolean {
    return false;
  }

  // ---- the way to an upstream -------------------------------------------------------------------------------------

  #connect(): void {
    const { worker, stats, model, tunnel } = this.#config;
    const info = this.#info;
    const route = this.#config.route(info);
    this.#metadataMatch = route.metadataMatch;
    const cluster = worker.clusters.get(route.name);
    if (cluster === undefined) {
      stats.inc(AT.downstream_cx_no_route);
      this.#fail(ResponseFlag.NC);
      return;
    }
    this.#cluster = cluster;
    info.upstreamCluster = cluster.name;
    info.upstreamClusterObservable = cluster.model.altStatName;
    info.upstreamClusterMetadata = cluster.model.metadata;
    if (!cluster.breaker('default').canConnect()) {
      cluster.stats.inc(CLUSTER_AT.upstream_cx_overflow);
      this.#fail(ResponseFlag.UO);
      return;
    }
    if (this.#attempts >= model.maxConnectAttempts) {
      cluster.stats.inc(CLUSTER_AT.upstream_cx_connect_attempts_exceeded);
      this.#fail(ResponseFlag.URX);
      return;
    }
    const host = cluster.pickHost(this);
    if (host === undefined) {
      this.#fail(ResponseFlag.UH);
      return;
    }
    info.attemptCount = ++this.#attempts;
    const upstream =
      tunnel !== undefined && !isTrue(info.filterState.get(DISABLE_TUNNELING))
        ? new TcpTunnelUpstream(this, tunnel, info)
        : new TcpConnectionUpstream(this);
    this.#upstream = upstream;
    upstream.connect(cluster, host, tcpTransportOptions(cluster.model, info, model.proxyProtocolTlvs));
  }

  #fail(flag: number): void {
    this.#info.setFlag(flag);
    const connection = this.#connection;
    // What the peer has sent is lost, and closing tells it so.
    connection.close(connection.unreadBytes > 0 ? 'reset' : 'abort');
  }

  onUpstreamFailure(reason: PoolFailureReason, transportFailure: string, host: Host | undefined): void {
    const info = this.#info;
    this.#upstream = undefined;
    info.upstreamHost = host;
    info.upstreamTransportFailureReason = transportFailure;
    if (reason === 'remote connection failure' || reason === 'connection timeout') info.setFlag(ResponseFlag.UF);
    if (this.#closed) return;
    const { backOff, maxConnectAttempts } = this.#config.model;
    if (backOff === undefined || this.#attempts >= maxConnectAttempts) this.#connect();
    else {
      const { dispatcher, random } = this.#config.worker;
      const base = Math.min(backOff.baseMs * 2 ** (this.#attempts - 1), backOff.maxMs);
      dispatcher.arm((this.#retryTimer ??= new Timer(this)), random.unit() * base);
    }
  }

  onUpstreamReady(host: Host, connection: ConnectionInfo): void {
    const info = this.#info;
    this.#connected = true;
    info.upstreamHost = host;
    info.upstreamConnection = connection;
    const perConnection = Number(info.filterState.get(IDLE_TIMEOUT));
    if (perConnection > 0) this.#idleTimeoutMs = perConnection;
    this.#connection.resumeRead();
    this.#armIdle();
    if (this.#config.model.flushAccessLogOnConnected) this.#log('TcpUpstreamConnected');
    const early = this.#early;
    if (early !== undefined) {
      this.#early = undefined;
      for (const chunk of early) this.#forward(chunk);
    }
    if (this.#downstreamEnded) this.#upstream!.endWrite();
  }

  // ---- from the downstream ----------------------------------------------------------------------------------------

  onData(chunk: Buffer): void {
    const { stats } = this.#config;
    const { length } = chunk;
    this.#info.wireBytesReceived += length;
    this.#received += length;
    stats.add(AT.downstream_cx_rx_bytes_total, length);
    if (length !== this.#lastRead) {
      // As in Envoy: the size of the last read stands until the next one.
      stats.add(AT.downstream_cx_rx_bytes_buffered, length - this.#lastRead);
      this.#lastRead = length;
    }
    if (this.#connected) this.#forward(chunk);
    else {
      stats.inc(AT.early_data_received_count_total);
      (this.#early ??= []).push(Buffer.from(chunk));
    }
  }

  onEnd(): void {
    this.#downstreamEnded = true;
    if (this.#connected) this.#upstream?.endWrite();
  }

  onDrain(): void {
    this.#setBuffered(0);
    this.#armIdle();
    if (!this.#upstreamPaused) return;
    this.#upstreamPaused = false;
    this.#cluster!.stats.inc(CLUSTER_AT.upstream_flow_control_resumed_reading_total);
    this.#upstream?.resumeRead();
  }

  flush(): void {}

  onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    const { dispatcher } = this.#config.worker;
    dispatcher.disarm(this.#idleTimer);
    if (this.#durationTimer !== undefined) dispatcher.disarm(this.#durationTimer);
    if (this.#logTimer !== undefined) dispatcher.disarm(this.#logTimer);
    if (this.#retryTimer !== undefined) dispatcher.disarm(this.#retryTimer);
    const upstream = this.#upstream;
    this.#upstream = undefined;
    if (upstream !== undefined) {
      if (this.#connected) this.#closeUpstream(upstream);
      else upstream.cancel();
    }
    this.#setBuffered(0);
    this.#config.stats.add(AT.downstream_cx_rx_bytes_buffered, -this.#lastRead);
    // Those that network filters kept to themselves count too.
    this.#config.stats.add(AT.downstream_cx_rx_bytes_total, this.#connection.bytesReceived - this.#received);
    this.#info.endMs = dispatcher.now;
    this.#log('TcpConnectionEnd');
  }

  /** Of an ended downstream all bytes still go out; one that we cut off takes its upstream with it. */
  #closeUpstream(upstream: TcpUpstream): void {
    const { closedLocally, wasReset } = this.#connection;
    if (wasReset) upstream.close('reset');
    else if (closedLocally && !(this.#downstreamEnded && this.#upstreamEnded)) upstream.close('abort');
    else if (upstream.bufferedBytes > 0) {
      const { stats, worker } = this.#config;
      new TcpFlush(upstream, stats, worker.dispatcher, this.#idleTimeoutMs).start();
    } else upstream.close('flush');
  }

  #forward(chunk: Buffer): void {
    const upstream = this.#upstream;
    if (upstream === undefined) return;
    this.#info.upstreamWireBytesSent += chunk.length;
    if (!upstream.write(chunk) && !this.#downstreamPaused) {
      this.#downstreamPaused = true;
      this.#config.stats.inc(AT.downstream_flow_control_paused_reading_total);
      this.#connection.pauseRead();
    }
    this.#armIdle();
  }

  // ---- from the upstream ------------------------------------------------------------------------------------------

  onUpstreamData(chunk: Buffer): void {
    const connection = this.#connection;
    const { length } = chunk;
    this.#config.stats.add(AT.downstream_cx_tx_bytes_total, length);
    this.#info.upstreamWireBytesReceived += length;
    this.#info.wireBytesSent += length;
    const accepted = connection.write(chunk);
    const buffered = connection.bufferedBytes;
    this.#setBuffered(buffered);
    if (!accepted && !this.#upstreamPaused) {
      this.#upstreamPaused = true;
      this.#cluster!.stats.inc(CLUSTER_AT.upstream_flow_control_paused_reading_total);
      this.#upstream?.pauseRead();
    }
    this.#armIdle();
  }

  onUpstreamEnd(): void {
    this.#upstreamEnded = true;
    this.#connection.endWrite();
  }

  onUpstreamDrain(): void {
    this.#armIdle();
    if (!this.#downstreamPaused) return;
    this.#downstreamPaused = false;
    this.#config.stats.inc(AT.downstream_flow_control_resumed_reading_total);
    this.#connection.resumeRead();
  }

  onUpstreamClose(reset: boolean): void {
    this.#upstream = undefined;
    if (this.#closed) return;
    this.#config.worker.dispatcher.disarm(this.#idleTimer);
    if (reset) {
      this.#info.setFlag(ResponseFlag.UR);
      this.#connection.close('reset');
    } else this.#connection.close('flush-no-delay');
  }

  // ---- time -------------------------------------------------------------------------------------------------------

  onTimer(timer: Timer): void {
    const { stats, worker, model } = this.#config;
    switch (timer) {
      case this.#idleTimer:
        stats.inc(AT.idle_timeout);
        this.#connection.close('abort');
        break;
      case this.#durationTimer:
        stats.inc(AT.max_downstream_connection_duration);
        this.#info.setFlag(ResponseFlag.DT);
        this.#connection.close('abort');
        break;
      case this.#retryTimer:
        this.#connect();
        break;
      default:
        this.#log('TcpPeriodic');
        worker.dispatcher.arm(timer, model.accessLogFlushIntervalMs);
    }
  }

  #armIdle(): void {
    if (this.#idleTimeoutMs > 0 && !this.#closed)
      this.#config.worker.dispatcher.arm(this.#idleTimer, this.#idleTimeoutMs);
  }

  #setBuffered(length: number): void {
    if (length === this.#buffered) return;
    this.#config.stats.add(AT.downstream_cx_tx_bytes_buffered, length - this.#buffered);
    this.#buffered = length;
  }

  #log(accessLogType: string): void {
    const { loggers, worker } = this.#config;
    if (loggers.length === 0) return;
    // Brings its byte counts up to date.
    const info = this.#connection.streamInfo;
    const ended = this.#closed;
    if (!ended) info.endMs = worker.dispatcher.now;
    const context: FormatContext = {
      info,
      requestHeaders: undefined,
      responseHeaders: undefined,
      responseTrailers: undefined,
      localReplyBody: '',
      accessLogType,
    };
    for (const logger of loggers) logger.log(context);
    if (!ended) info.endMs = -1;
  }
}

const isTrue = (value: unknown): boolean => value === true || value === 'true';
