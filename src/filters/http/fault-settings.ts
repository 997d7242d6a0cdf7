import { durationMs } from '../../api/duration.ts';
import type { HTTPFault } from '../../api/generated/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import type { FractionalPercent as FractionalPercentMessage } from '../../api/generated/envoy/type/v3/percent_pb.js';
import { ConfigError } from '../config-type.ts';
import { compileHeaderMatches, headerMatchOf, type HeaderTest } from '../header-matcher.ts';
import type { Headers } from '../headers.ts';
import type { FractionalPercent } from './filter.ts';

/** How likely a fault is, and the request header that may lower it. */
export interface FaultPercentage {
  readonly fraction: FractionalPercent;
  /** '' = the percentage is fixed. */
  readonly header: string;
}

/** An HTTPFault, compiled. */
export interface FaultSettings {
  /** `fixedMs` undefined: the request says it in x-envoy-fault-delay-request. */
  readonly delay: { readonly fixedMs: number | undefined; readonly percentage: FaultPercentage } | undefined;
  /** Neither status: the request says it in x-envoy-fault-abort-request or -abort-grpc-request. */
  readonly abort:
    | {
        readonly httpStatus: number | undefined;
        readonly grpcStatus: number | undefined;
        readonly percentage: FaultPercentage;
      }
    | undefined;
  /** `fixedKbps` undefined: the request says it in x-envoy-fault-throughput-response. KiB/s. */
  readonly rateLimit: { readonly fixedKbps: number | undefined; readonly percentage: FaultPercentage } | undefined;
  readonly upstreamCluster: string;
  readonly headers: HeaderTest;
  readonly downstreamNodes: ReadonlySet<string>;
  readonly maxActiveFaults: number;
  readonly disableDownstreamClusterStats: boolean;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly runtime: FaultRuntimeKeys;
}

export interface FaultRuntimeKeys {
  readonly delayPercent: string;
  readonly abortPercent: string;
  readonly delayDuration: string;
  readonly abortHttpStatus: string;
  readonly abortGrpcStatus: string;
  readonly maxActiveFaults: string;
  readonly rateLimitPercent: string;
}

const DENOMINATORS: readonly number[] = [100, 10_000, 1_000_000];

function percentageOf(message: FractionalPercentMessage | undefined, header: string): FaultPercentage {
  const { numerator = 0, denominator = 0 } = message ?? {};
  return { fraction: { numerator, denominator: DENOMINATORS[denominator] ?? 100 }, header };
}

/** Throws ConfigError. */
export function compileFault(message: HTTPFault): FaultSettings {
  return {
    delay: compileDelay(message),
    abort: compileAbort(message),
    rateLimit: compileRateLimit(message),
    upstreamCluster: message.upstreamCluster,
    headers: compileHeaders(message),
    downstreamNodes: new Set(message.downstreamNodes),
    maxActiveFaults: message.maxActiveFaults ?? Infinity,
    disableDownstreamClusterStats: message.disableDownstreamClusterStats,
    metadata: message.filterMetadata ?? {},
    runtime: {
      delayPercent: message.delayPercentRuntime || 'fault.http.delay.fixed_delay_percent',
      abortPercent: message.abortPercentRuntime || 'fault.http.abort.abort_percent',
      delayDuration: message.delayDurationRuntime || 'fault.http.delay.fixed_duration_ms',
      abortHttpStatus: message.abortHttpStatusRuntime || 'fault.http.abort.http_status',
      abortGrpcStatus: message.abortGrpcStatusRuntime || 'fault.http.abort.grpc_status',
      maxActiveFaults: message.maxActiveFaultsRuntime || 'fault.http.max_active_faults',
      rateLimitPercent: message.responseRateLimitPercentRuntime || 'fault.http.rate_limit.response_percent',
    },
  };
}

function compileDelay({ delay }: HTTPFault): FaultSettings['delay'] {
  if (delay === undefined) return undefined;
  const secifier = delay.faultDelaySecifier;
  if (secifier.case === 'fixedDelay') {
    const fixedMs = Math.floor(durationMs(secifier.value));
    return { fixedMs, percentage: percentageOf(delay.percentage, '') };
  }
  return {
    fixedMs: undefined,
    percentage: percentageOf(delay.percentage, 'x-envoy-fault-delay-request-percentage'),
  };
}

function compileAbort({ abort }: HTTPFault): FaultSettings['abort'] {
  if (abort === undefined) return undefined;
  const error = abort.errorType;
  const byHeader = error.case === 'headerAbort';
  return {
    httpStatus: error.case === 'httpStatus' ? error.value : undefined,
    grpcStatus: error.case === 'grpcStatus' ? error.value : undefined,
    percentage: percentageOf(abort.percentage, byHeader ? 'x-envoy-fault-abort-request-percentage' : ''),
  };
}

function compileRateLimit({ responseRateLimit: limit }: HTTPFault): FaultSettings['rateLimit'] {
  if (limit === undefined) return undefined;
  if (limit.limitType.case === 'fixedLimit')
    return { fixedKbps: Number(limit.limitType.value.limitKbps), percentage: percentageOf(limit.percentage, '') };
  return {
    fixedKbps: undefined,
    percentage: percentageOf(limit.percentage, 'x-envoy-fault-throughput-response-percentage'),
  };
}

function compileHeaders({ headers }: HTTPFault): HeaderTest {
  try {
    return compileHeaderMatches(headers.map((message) => headerMatchOf(message)));
  } catch (error) {
    const path = error instanceof ConfigError ? error.path : '';
    throw new ConfigError(error instanceof Error ? error.message : String(error), `headers${path}`);
  }
}

/** A whole number of at most 15 digits in a request header; undefined if there is none. */
export function numberIn(headers: Headers, name: string): number | undefined {
  const text = headers.get(name);
  return text !== undefined && /^\s*\d{1,15}\s*$/.test(text) ? Number(text) : undefined;
}
