import {
  FilterConfigSchema,
  type FilterConfig,
} from '../../api/generated/envoy/extensions/filters/http/grpc_stats/v3/config_pb.js';
import { protobufConfig } from '../config-type.ts';
import { isGrpcRequest, isGrpcResponse, methodCalled } from '../grpc-call.ts';
import { GrpcCharges } from '../grpc-charges.ts';
import { FrameCounter } from '../grpc-frames.ts';
import type { Headers } from '../headers.ts';
import { ConnectResponseCounter } from './connect-response-counter.ts';
import {
  Continue,
  Detach,
  defineHttpFilter,
  type DataVerdict,
  type FactoryContext,
  type HeadersVerdict,
  type HttpFilter,
  type StreamContext,
  type TrailersVerdict,
} from './filter.ts';

/** What a call looks like on the wire: gRPC, or Connect's two ways. */
type CallKind = 'grpc' | 'connect-unary' | 'connect-streaming';

/** One config, compiled. */
interface GrpcStatsSettings {
  readonly emitFilterState: boolean;
  readonly upstreamStats: boolean;
  /** The name of a method in stats; '' = it has none of its own. */
  nameOf(service: string, method: string): string;
}

const FILTER_STATE = 'envoy.filters.http.grpc_stats';

/** envoy.filters.http.grpc_stats: counts calls, their outcomes and messages by cluster, and by method if asked to. */
export const grpcStats = defineHttpFilter({
  name: 'envoy.filters.http.grpc_stats',
  config: protobufConfig(FilterConfigSchema),
  create(config, context) {
    const settings = compile(config);
    return (stream: StreamContext) => new GrpcStatsFilter(settings, context, stream);
  },
});

function compile(config: FilterConfig): GrpcStatsSettings {
  const { perMethodStatSpecifier: specifier, emitFilterState, enableUpstreamStats: upstreamStats } = config;
  const settings = { emitFilterState, upstreamStats };
  switch (specifier.case) {
    case 'statsForAllMethods': {
      if (!specifier.value) break;
      const replace = config.replaceDotsInGrpcServiceName;
      return {
        ...settings,
        nameOf: (service, method) => `${replace ? service.replaceAll('.', '_') : service}.${method}`,
      };
    }
    case 'individualMethodStatsAllowlist': {
      const allowed = new Map(
        specifier.value.services.map(({ name, methodNames }) => [name, new Set(methodNames)] as const),
      );
      return {
        ...settings,
        nameOf: (service, method) => (allowed.get(service)?.has(method) === true ? `${service}.${method}` : ''),
      };
    }
  }
  return { ...settings, nameOf: () => '' };
}

function kindOf(headers: Headers): CallKind | undefined {
  if (isGrpcRequest(headers)) return 'grpc';
  if (!headers.has(':path')) return undefined;
  if (headers.has('connect-protocol-version')) return 'connect-unary';
  return isConnectStream(headers) ? 'connect-streaming' : undefined;
}

function isConnectStream(headers: Headers): boolean {
  return headers.get('content-type')?.startsWith('application/connect+') === true;
}

class GrpcStatsFilter implements HttpFilter {
  readonly #settings: GrpcStatsSettings;
  readonly #context: FactoryContext;
  readonly #stream: StreamContext;
  #kind: CallKind | undefined = undefined;
  #charges: GrpcCharges | undefined = undefined;
  readonly #requests = new FrameCounter();
  #responses: FrameCounter | ConnectResponseCounter | undefined = undefined;
  /** Whole messages of a unary call of Connect, which has no frames. */
  #unaryRequests = 0;
  #unaryResponses = 0;
  #emitted: { request_message_count: string; response_message_count: string } | undefined = undefined;

  constructor(settings: GrpcStatsSettings, context: FactoryContext, stream: StreamContext) {
    this.#settings = settings;
    this.#context = context;
    this.#stream = stream;
  }

  onRequestHeaders(headers: Headers): HeadersVerdict {
    const kind = kindOf(headers);
    if (kind === undefined) return Detach;
    this.#kind = kind;
    const called = methodCalled(headers.get(':path'));
    const cluster = this.#stream.info.upstreamClusterObservable;
    if (called !== undefined && cluster !== '') {
      const name = this.#settings.nameOf(called.service, called.method);
      this.#charges = new GrpcCharges(this.#context.rootStats, cluster, 'grpc', name);
    }
    return Continue;
  }

  onRequestData(chunk: Buffer, endStream: boolean): DataVerdict {
    let count = 0;
    if (this.#kind !== 'connect-unary') count = this.#requests.inspect(chunk);
    else if (endStream) count = ++this.#unaryRequests;
    if (count > 0) {
      this.#emit();
      this.#charges?.requestMessages(count);
    }
    return Continue;
  }

  onResponseHeaders(headers: Headers, endStream: boolean): HeadersVerdict {
    const isGrpc = isGrpcResponse(headers, endStream);
    if (this.#kind === 'connect-streaming') this.#responses = new ConnectResponseCounter();
    else if (isGrpc) this.#responses = new FrameCounter();
    if (this.#kind === 'connect-unary') this.#charges?.outcome(headers.get(':status') === '200');
    else if (!isConnectStream(headers)) this.#charges?.status(headers.get('grpc-status'));
    if (endStream) this.#chargeTime();
    return this.#responses === undefined && this.#kind === undefined ? Detach : Continue;
  }

  onResponseData(chunk: Buffer, endStream: boolean): DataVerdict {
    const responses = this.#responses;
    if (responses !== undefined) {
      const count = responses.inspect(chunk);
      if (count > 0) {
        this.#emit();
        this.#charges?.responseMessages(count);
      }
      if (endStream && responses instanceof ConnectResponseCounter) {
        this.#charges?.outcome(responses.succeeded);
        this.#chargeTime();
      }
    } else if (this.#kind === 'connect-unary' && endStream) {
      this.#unaryResponses++;
      this.#emit();
      this.#charges?.responseMessages(1);
      this.#chargeTime();
    }
    return Continue;
  }

  onResponseTrailers(trailers: Headers): TrailersVerdict {
    if (this.#kind === 'grpc') {
      this.#charges?.status(trailers.get('grpc-status'));
      this.#chargeTime();
    }
    return Continue;
  }

  /** From the last byte of the request to the last of the response, upstream. */
  #chargeTime(): void {
    const { upstreamLastTxMs, upstreamLastRxMs } = this.#stream.info;
    if (this.#settings.upstreamStats && upstreamLastTxMs >= 0 && upstreamLastRxMs >= 0)
      this.#charges?.upstreamTime(Math.max(0, Math.trunc(upstreamLastRxMs - upstreamLastTxMs)));
  }

  #emit(): void {
    if (!this.#settings.emitFilterState) return;
    if (this.#emitted === undefined) {
      this.#emitted = { request_message_count: '0', response_message_count: '0' };
      this.#stream.info.filterState.set(FILTER_STATE, this.#emitted);
    }
    const unary = this.#kind === 'connect-unary';
    this.#emitted.request_message_count = String(unary ? this.#unaryRequests : this.#requests.count);
    this.#emitted.response_message_count = String(unary ? this.#unaryResponses : (this.#responses?.count ?? 0));
  }
}
