import { createRegistry, fromJson, type DescMessage, type JsonValue } from '@bufbuild/protobuf';
import { ConfigError, type ConfigType } from './config-type.ts';
import {
  CollectBody,
  Continue,
  Detach,
  type ClusterView,
  type DataVerdict,
  type FactoryContext,
  type FilterForStream,
  type HeadersVerdict,
  type HttpFilter,
  type HttpFilterType,
  type LocalNode,
  type LocalReply,
  type RateLimitDescriptor,
  type StreamContext,
  type TrailersVerdict,
} from './http/filter.ts';
import { readJsonConfig } from './json-schema.ts';
import type { Metadata } from './stream-info.ts';
import { KitClock } from './test-kit/kit-clock.ts';
import { KitHeaders, type HeadersInit } from './test-kit/kit-headers.ts';
import { KitRuntime, MAX_RANDOM } from './test-kit/kit-runtime.ts';
import { KitStats } from './test-kit/kit-stats.ts';
import { KitStreamInfo } from './test-kit/kit-stream-info.ts';

export interface FilterTestOptions {
  /** The filter's config as JSON (of its message, for a filter configured by one). Default: `{}`. */
  readonly config?: unknown;
  /** The messages that an Any in a config may hold, written with `@type`. */
  readonly types?: readonly DescMessage[];
  /** The route's override; or all of them, from least (virtual host) to most specific. */
  readonly routeConfig?: unknown;
  readonly routeConfigs?: readonly unknown[];
  /** The matched route; `false`: none. */
  readonly route?:
    | {
        readonly clusterName?: string;
        readonly cluster?: ClusterView;
        readonly metadata?: Metadata;
        /** What its rate limits make of any request. */
        readonly rateLimitDescriptors?: readonly RateLimitDescriptor[];
      }
    | false;
  /** Runtime keys that are set. */
  readonly runtime?: Readonly<Record<string, number | boolean | string>>;
  /** The bootstrap's `node`. */
  readonly node?: Partial<LocalNode>;
  /** What decides fractions, in [0, 1): with 0, the default, everything that can happen does. */
  readonly random?: number;
  /** Wall clock at the start, ms since the epoch. */
  readonly epochMs?: number;
  /** How much of a body may be collected. Default: 1 MiB. */
  readonly bufferLimitBytes?: number;
}

/** What came of one direction of a stream. */
export interface FilterTestResult {
  /** What went on behind the filter; undefined if the filter answered instead. */
  readonly headers: KitHeaders | undefined;
  readonly chunks: readonly Buffer[];
  /** The chunks as one text (UTF-8). */
  readonly body: string;
  readonly trailers: KitHeaders | undefined;
  /** The filter's own answer. */
  readonly reply: LocalReply | undefined;
}

/** What a test sends: a body as one chunk or several. */
export interface FilterTestMessage {
  readonly headers: HeadersInit;
  readonly body?: string | Buffer | readonly (string | Buffer)[];
  readonly trailers?: HeadersInit;
}

/**
 * Tries out an HTTP filter without a proxy: no socket, a clock that only the test moves, stats to read. The filter is
 * created as the proxy creates it; a bad config throws ConfigError.
 */
export async function testFilter<Config, RouteConfig, ParsedRouteConfig>(
  type: HttpFilterType<Config, RouteConfig, ParsedRouteConfig>,
  options: FilterTestOptions = {},
): Promise<FilterTest> {
  const clock = new KitClock(options.epochMs ?? Date.UTC(2026, 0, 1));
  const stats = new KitStats();
  const context: FactoryContext = {
    clock,
    random: {
      unit: () => options.random ?? 0,
      below: (bound) => Math.floor((options.random ?? 0) * Math.min(bound, MAX_RANDOM)),
    },
    stats: stats.scope('http.test'),
    rootStats: stats,
    runtime: new KitRuntime(options.runtime ?? {}),
    node: { id: '', cluster: '', zone: '', ...options.node },
    log: { debug() {}, info() {}, warn() {}, error() {} },
    sleep: (delayMs, signal) => clock.sleep(delayMs, signal),
  };
  const config = readConfig(type.config, options.config ?? {}, options.types);
  await type.prepare?.(config);
  const create = type.create(config, context);
  const overrides = options.routeConfigs ?? (options.routeConfig === undefined ? [] : [options.routeConfig]);
  const routeConfigs = overrides.map((json) => {
    if (type.routeConfig === undefined && type.compileRoute === undefined)
      return readConfig(type.config as unknown as ConfigType<RouteConfig>, json, options.types);
    if (type.routeConfig === undefined) throw new ConfigError(`${type.name} has no per-route config`);
    const parsed = readConfig(type.routeConfig, json, options.types);
    return type.compileRoute?.(parsed, context, config) ?? (parsed as unknown as RouteConfig);
  });
  return new FilterTest(create as FilterForStream<unknown>, routeConfigs, options, clock, stats);
}

function readConfig<Config>(type: ConfigType<Config>, json: unknown, types: readonly DescMessage[] = []): Config {
  if (type.desc === undefined) return readJsonConfig(type, json);
  try {
    return fromJson(type.desc, json as JsonValue, { registry: createRegistry(...types) }) as Config;
  } catch (error) {
    throw new ConfigError(error instanceof Error ? error.message : String(error));
  }
}

/** One filter on one stream. `next()` starts another stream on the same config. */
export class FilterTest {
  readonly clock: KitClock;
  readonly info: KitStreamInfo;
  /** Undefined: the filter keeps off this stream. */
  readonly filter: HttpFilter | undefined;
  /** What the filter asked of the stream. */
  readonly asked: {
    clearedRoute: boolean;
    overrideHost: { readonly address: string; readonly strict: boolean } | undefined;
    bufferLimitBytes: number;
  };
  readonly #create: FilterForStream<unknown>;
  readonly #routeConfigs: readonly unknown[];
  readonly #options: FilterTestOptions;
  readonly #stats: KitStats;
  readonly #abort = new AbortController();
  #ended = false;

  constructor(
    create: FilterForStream<unknown>,
    routeConfigs: readonly unknown[],
    options: FilterTestOptions,
    clock: KitClock,
    stats: KitStats,
  ) {
    this.#create = create;
    this.#routeConfigs = routeConfigs;
    this.#options = options;
    this.clock = clock;
    this.#stats = stats;
    this.info = new KitStreamInfo(clock.monotonic(), clock.epoch());
    const asked: typeof this.asked = {
      clearedRoute: false,
      overrideHost: undefined,
      bufferLimitBytes: options.bufferLimitBytes ?? 1024 * 1024,
    };
    this.asked = asked;
    const route = options.route === false ? undefined : (options.route ?? {});
    const stream: StreamContext = {
      info: this.info,
      routeConfig: routeConfigs.at(-1),
      routeConfigs,
      routeMetadata: route?.metadata,
      hasRoute: route !== undefined,
      clusterName: route?.clusterName ?? '',
      cluster: route?.cluster,
      rateLimitDescriptors: () => route?.rateLimitDescriptors ?? [],
      clearRoute: () => void (asked.clearedRoute = true),
      setUpstreamOverrideHost: (address, strict) => void (asked.overrideHost = { address, strict }),
      bufferLimit: asked.bufferLimitBytes,
      setBufferLimit: (bytes) => void (asked.bufferLimitBytes = bytes),
      signal: this.#abort.signal,
    };
    this.filter = create(stream);
  }

  /** Sends a request through the filter. Waits for its promises: move `clock` on meanwhile if it sleeps. */
  request(message: FilterTestMessage): Promise<FilterTestResult> {
    const { filter } = this;
    return this.#pass('request', message, {
      onHeaders: filter?.onRequestHeaders?.bind(filter),
      onData: filter?.onRequestData?.bind(filter),
      onTrailers: filter?.onRequestTrailers?.bind(filter),
    });
  }

  /** Sends a response (with `:status`) through the filter. */
  response(message: FilterTestMessage): Promise<FilterTestResult> {
    const { filter } = this;
    return this.#pass('response', message, {
      onHeaders: filter?.onResponseHeaders?.bind(filter),
      onData: filter?.onResponseData?.bind(filter),
      onTrailers: filter?.onResponseTrailers?.bind(filter),
    });
  }

  /** A counter or gauge by its full name (`http.test.` is the connection manager's prefix); 0 if there is none. */
  stat(name: string): number {
    return this.#stats.read(name);
  }

  /** Ends the stream: `onDestroy`, and the signal aborts. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#abort.abort();
    this.filter?.onDestroy?.();
  }

  /** Another stream on the same config: stats and clock are shared. */
  next(): FilterTest {
    return new FilterTest(this.#create, this.#routeConfigs, this.#options, this.clock, this.#stats);
  }

  [Symbol.dispose](): void {
    this.end();
  }

  async #pass(direction: 'request' | 'response', message: FilterTestMessage, hooks: Hooks): Promise<FilterTestResult> {
    const { body = [] } = message;
    const chunks = (Array.isArray(body) ? (body as readonly (string | Buffer)[]) : [body as string | Buffer]).map(
      (chunk) => Buffer.from(chunk as string),
    );
    let trailers = message.trailers === undefined ? undefined : new KitHeaders(message.trailers);
    const headers = new KitHeaders(message.headers);
    const out: Buffer[] = [];
    const passed = (reply?: LocalReply): FilterTestResult => ({
      headers: reply === undefined ? headers : undefined,
      chunks: reply === undefined ? out : [],
      body: reply === undefined ? Buffer.concat(out).toString('utf8') : '',
      trailers: reply === undefined ? trailers : undefined,
      reply,
    });

    const verdict = (await hooks.onHeaders?.(headers, chunks.length === 0 && trailers === undefined)) ?? Continue;
    if (isReply(verdict)) return passed(verdict);
    if (verdict === Detach) {
      out.push(...chunks);
      return passed();
    }
    if (Buffer.isBuffer(verdict) && chunks.length === 0 && trailers === undefined) {
      if (verdict.length > 0) out.push(verdict);
      return passed();
    }
    if (typeof verdict === 'object' && 'trailers' in verdict && chunks.length === 0 && trailers === undefined) {
      if (verdict.data.length > 0) out.push(verdict.data);
      trailers = new KitHeaders(verdict.trailers);
      return passed();
    }
    const collected = verdict === CollectBody && (chunks.length > 0 || trailers !== undefined);
    if (collected) {
      const whole = Buffer.concat(chunks.splice(0));
      if (whole.length > this.asked.bufferLimitBytes) return passed(tooLarge[direction]);
      chunks.push(whole);
    }
    for (let i = 0; i < chunks.length; i++) {
      const chunk = chunks[i]!;
      const last = i === chunks.length - 1 && trailers === undefined;
      const dataVerdict = (await hooks.onData?.(chunk, last, collected ? trailers : undefined)) ?? Continue;
      if (Buffer.isBuffer(dataVerdict)) {
        if (dataVerdict.length > 0) out.push(dataVerdict);
      } else if (typeof dataVerdict === 'object' && 'data' in dataVerdict) {
        if (dataVerdict.data.length > 0) out.push(dataVerdict.data);
        if (last) trailers = new KitHeaders(dataVerdict.trailers);
        if (last) return passed();
      } else if (isReply(dataVerdict)) return passed(dataVerdict);
      else if (dataVerdict === Detach) {
        out.push(...chunks.slice(i));
        return passed();
      } else if (chunk.length > 0) out.push(chunk);
    }
    if (trailers !== undefined) {
      const trailersVerdict = (await hooks.onTrailers?.(trailers)) ?? Continue;
      if (isReply(trailersVerdict)) return passed(trailersVerdict);
      if (Buffer.isBuffer(trailersVerdict)) {
        if (trailersVerdict.length > 0) out.push(trailersVerdict);
        trailers = undefined;
      } else if (typeof trailersVerdict === 'object' && trailersVerdict.lastData.length > 0)
        out.push(trailersVerdict.lastData);
    }
    return passed();
  }
}

/** The hooks of one direction, bound to their filter. */
interface Hooks {
  readonly onHeaders: HttpFilter['onRequestHeaders'];
  readonly onData: HttpFilter['onRequestData'];
  readonly onTrailers: HttpFilter['onRequestTrailers'];
}

function isReply(verdict: HeadersVerdict | DataVerdict | TrailersVerdict): verdict is LocalReply {
  return typeof verdict === 'object' && !Buffer.isBuffer(verdict) && 'status' in verdict;
}

/** What the proxy answers when a collected body grows over the limit. */
const tooLarge: Readonly<Record<'request' | 'response', LocalReply>> = {
  request: { status: 413, body: 'Payload Too Large', details: 'request_payload_too_large' },
  response: { status: 500, body: 'Internal Server Error', details: 'response_payload_too_large' },
};
