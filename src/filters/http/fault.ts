import { HTTPFaultSchema } from '../../api/generated/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import type { StatBlock } from '../../telemetry/stats/stats.ts';
import { defineStats } from '../../telemetry/stats/stats.ts';
import { protobufConfig } from '../config-type.ts';
import type { Headers } from '../headers.ts';
import { ResponseFlag } from '../response-flags.ts';
import { compileFault, numberIn, type FaultPercentage, type FaultSettings } from './fault-settings.ts';
import {
  Continue,
  defineHttpFilter,
  Detach,
  type Awaitable,
  type DataVerdict,
  type FactoryContext,
  type HeadersVerdict,
  type HttpFilter,
  type LocalReply,
  type StreamContext,
} from './filter.ts';

const FAULT_STATS = defineStats({
  counters: ['aborts_injected', 'delays_injected', 'faults_overflow', 'response_rl_injected'],
  gauges: ['active_faults'],
});
const { at } = FAULT_STATS;

/** Names come from a request header: this many downstream clusters get counters of their own. */
const MAX_DOWNSTREAM_CLUSTERS = 1000;
/** What a rate-limited response may send at once when it starts: this many ms worth of its rate. */
const FIRST_SLICE_MS = 50;

/** What all streams of one chain share. */
class FaultShared {
  readonly context: FactoryContext;
  readonly stats: StatBlock;
  readonly #clusters = new Set<string>();

  constructor(context: FactoryContext) {
    this.context = context;
    this.stats = context.stats.block(FAULT_STATS, 'fault');
  }

  countForCluster(cluster: string, what: 'aborts_injected' | 'delays_injected'): void {
    if (this.#clusters.size >= MAX_DOWNSTREAM_CLUSTERS && !this.#clusters.has(cluster)) return;
    this.#clusters.add(cluster);
    this.context.stats.counter(`fault.${cluster}.${what}`).inc();
  }
}

/** envoy.filters.http.fault: delays requests, refuses them, slows responses down. */
export const fault = defineHttpFilter({
  name: 'envoy.filters.http.fault',
  config: protobufConfig(HTTPFaultSchema),
  routeConfig: protobufConfig(HTTPFaultSchema),
  compileRoute: (config) => compileFault(config),
  create(config, context) {
    const own = compileFault(config);
    const shared = new FaultShared(context);
    return (stream: StreamContext<FaultSettings>) => {
      const settings = stream.routeConfig ?? own;
      if (settings.rateLimit !== undefined)
        return new RateLimitedFault(new FaultFilter(settings, shared, stream), shared.context, stream);
      return settings.delay === undefined && settings.abort === undefined
        ? undefined
        : new FaultFilter(settings, shared, stream);
    };
  },
});

class FaultFilter implements HttpFilter {
  readonly #settings: FaultSettings;
  readonly #shared: FaultShared;
  readonly #stream: StreamContext<FaultSettings>;
  /** x-envoy-downstream-service-cluster; '' = none. */
  #cluster = '';
  #active = false;

  constructor(settings: FaultSettings, shared: FaultShared, stream: StreamContext<FaultSettings>) {
    this.#settings = settings;
    this.#shared = shared;
    this.#stream = stream;
  }

  onRequestHeaders(headers: Headers): Awaitable<HeadersVerdict> {
    return this.begin(headers) ? this.inject(headers) : Continue;
  }

  onDestroy(): void {
    if (this.#active) this.#shared.stats.dec(at.active_faults);
  }

  /** True if the faults are meant for this request. */
  begin(headers: Headers): boolean {
    this.#cluster = headers.get('x-envoy-downstream-service-cluster') ?? '';
    return this.#applies(headers);
  }

  /** Delays, then aborts. */
  inject(headers: Headers): Awaitable<HeadersVerdict> {
    const delayMs = this.#delayMs(headers);
    if (delayMs > 0 && this.#activate()) return this.#delay(delayMs, headers);
    return this.#abort(headers) ?? Continue;
  }

  /** The rate of the response in bytes per ms; 0 = no limit. */
  responseRate(headers: Headers): number {
    const { rateLimit, runtime } = this.#settings;
    const kbps = rateLimit?.fixedKbps ?? numberIn(headers, 'x-envoy-fault-throughput-response');
    if (rateLimit === undefined || kbps === undefined || kbps === 0) return 0;
    if (!this.#enabled(rateLimit.percentage, runtime.rateLimitPercent, '', headers) || !this.#activate()) return 0;
    this.#shared.stats.inc(at.response_rl_injected);
    return (kbps * 1024) / 1000;
  }

  /** Counts this stream as faulty, once. False: there are too many already. */
  #activate(): boolean {
    if (this.#active) return true;
    const { stats, context } = this.#shared;
    const max = context.runtime.getNumber(this.#settings.runtime.maxActiveFaults, this.#settings.maxActiveFaults);
    if (stats.get(at.active_faults) >= max) {
      stats.inc(at.faults_overflow);
      return false;
    }
    stats.inc(at.active_faults);
    this.#active = true;
    return true;
  }

  /** Decides a percentage; a runtime key of the downstream cluster's own gives it a second chance. */
  #enabled(percentage: FaultPercentage, key: string, clusterKey: string, headers: Headers): boolean {
    const { runtime, random } = this.#shared.context;
    let { fraction } = percentage;
    if (percentage.header !== '') {
      const asked = numberIn(headers, percentage.header);
      if (asked !== undefined) fraction = { ...fraction, numerator: Math.min(asked, fraction.numerator) };
    }
    const value = random.below(0x1_0000_0000);
    if (this.#cluster !== '' && clusterKey !== '') {
      if (runtime.featureEnabled(`fault.http.${this.#cluster}.${clusterKey}`, fraction, value)) return true;
    }
    return runtime.featureEnabled(key, fraction, value);
  }

  #applies(headers: Headers): boolean {
    const { upstreamCluster, downstreamNodes } = this.#settings;
    if (upstreamCluster !== '' && this.#stream.clusterName !== upstreamCluster) return false;
    if (downstreamNodes.size > 0) {
      const node = headers.get('x-envoy-downstream-service-node');
      if (node === undefined || !downstreamNodes.has(node)) return false;
    }
    return this.#settings.headers(headers);
  }

  /** How long to wait; 0 = not at all. */
  #delayMs(headers: Headers): number {
    const { delay, runtime: keys } = this.#settings;
    if (delay === undefined) return 0;
    const configured = delay.fixedMs ?? numberIn(headers, 'x-envoy-fault-delay-request');
    if (configured === undefined) return 0;
    if (!this.#enabled(delay.percentage, keys.delayPercent, 'delay.fixed_delay_percent', headers)) return 0;
    const { runtime } = this.#shared.context;
    const ms = runtime.getNumber(keys.delayDuration, configured);
    return this.#cluster === '' ? ms : runtime.getNumber(`fault.http.${this.#cluster}.delay.fixed_duration_ms`, ms);
  }

  async #delay(ms: number, headers: Headers): Promise<HeadersVerdict> {
    this.#record('delays_injected', ResponseFlag.DI);
    try {
      await this.#shared.context.sleep(ms, this.#stream.signal);
    } catch {
      // The stream ended meanwhile; nobody listens to this verdict.
      return Continue;
    }
    return this.#abort(headers) ?? Continue;
  }

  #abort(headers: Headers): LocalReply | undefined {
    const { abort, runtime: keys } = this.#settings;
    if (abort === undefined) return undefined;
    if (!this.#enabled(abort.percentage, keys.abortPercent, 'abort.abort_percent', headers)) return undefined;
    const byHeader = abort.httpStatus === undefined && abort.grpcStatus === undefined;
    let status = byHeader ? statusIn(headers) : abort.httpStatus;
    let grpcStatus: number | undefined;
    if (status !== undefined) status = this.#runtimeNumber(keys.abortHttpStatus, 'abort.http_status', status);
    else {
      grpcStatus = byHeader ? numberIn(headers, 'x-envoy-fault-abort-grpc-request') : abort.grpcStatus;
      if (grpcStatus === undefined) return undefined;
      grpcStatus = this.#runtimeNumber(keys.abortGrpcStatus, 'abort.grpc_status', grpcStatus);
      status = 200;
    }
    if (!this.#activate()) return undefined;
    this.#record('aborts_injected', ResponseFlag.FI);
    return {
      status,
      body: 'fault filter abort',
      details: 'fault_filter_abort',
      ...(grpcStatus !== undefined && { grpcStatus }),
    };
  }

  #runtimeNumber(key: string, clusterKey: string, value: number): number {
    const { runtime } = this.#shared.context;
    const general = runtime.getNumber(key, value);
    return this.#cluster === '' ? general : runtime.getNumber(`fault.http.${this.#cluster}.${clusterKey}`, general);
  }

  #record(what: 'aborts_injected' | 'delays_injected', flag: number): void {
    const { info } = this.#stream;
    info.setFlag(flag);
    const known = info.dynamicMetadata.get(fault.name);
    info.dynamicMetadata.set(fault.name, { ...known, ...this.#settings.metadata });
    this.#shared.stats.inc(at[what]);
    if (this.#cluster !== '' && !this.#settings.disableDownstreamClusterStats)
      this.#shared.countForCluster(this.#cluster, what);
  }
}

function statusIn(headers: Headers): number | undefined {
  const status = numberIn(headers, 'x-envoy-fault-abort-request');
  return status !== undefined && status >= 200 && status < 600 ? status : undefined;
}

/** A fault whose response may be slowed down. Made only where a limit is configured: it looks at every chunk. */
class RateLimitedFault implements HttpFilter {
  readonly #fault: FaultFilter;
  readonly #context: FactoryContext;
  readonly #stream: StreamContext<FaultSettings>;
  /** Bytes per ms; 0 = no limit on this stream. */
  #rate = 0;
  /** Bytes that may go at once, at `#filledMs`. At most a second's worth. */
  #tokens = 0;
  #filledMs = -1;

  constructor(fault: FaultFilter, context: FactoryContext, stream: StreamContext<FaultSettings>) {
    this.#fault = fault;
    this.#context = context;
    this.#stream = stream;
  }

  onRequestHeaders(headers: Headers): Awaitable<HeadersVerdict> {
    if (!this.#fault.begin(headers)) return Continue;
    this.#rate = this.#fault.responseRate(headers);
    this.#tokens = this.#rate * FIRST_SLICE_MS;
    return this.#fault.inject(headers);
  }

  onResponseHeaders(): HeadersVerdict {
    return this.#rate === 0 ? Detach : Continue;
  }

  /** A chunk goes whole, once its bytes have been earned. */
  onResponseData(chunk: Buffer): Awaitable<DataVerdict> {
    const now = this.#context.clock.monotonic();
    if (this.#filledMs >= 0)
      this.#tokens = Math.min(this.#tokens + (now - this.#filledMs) * this.#rate, this.#rate * 1000);
    this.#filledMs = now;
    this.#tokens -= chunk.length;
    if (this.#tokens >= 0) return Continue;
    return this.#context.sleep(-this.#tokens / this.#rate, this.#stream.signal).then(
      () => Continue,
      () => Continue,
    );
  }

  onDestroy(): void {
    this.#fault.onDestroy();
  }
}
