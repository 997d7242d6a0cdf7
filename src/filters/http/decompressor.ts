import {
  DecompressorSchema,
  type Decompressor,
  type Decompressor_CommonDirectionConfig as CommonDirectionConfig,
} from '../../api/generated/envoy/extensions/filters/http/decompressor/v3/decompressor_pb.js';
import { defineStats, sanitizeStatName, type Counter, type StatBlock } from '../../telemetry/stats/stats.ts';
import { protobufConfig } from '../config-type.ts';
import type { Headers, HeaderList } from '../headers.ts';
import { compileRuntimeFlag } from '../runtime-flag.ts';
import { BodyDecompression } from './decompressor/body-decompression.ts';
import { decompressorLibrary, type DecompressorLibrary } from './decompressor/decompressor-library.ts';
import {
  Continue,
  defineHttpFilter,
  type Awaitable,
  type DataVerdict,
  type FactoryContext,
  type HeadersVerdict,
  type HttpFilter,
  type TrailersVerdict,
} from './filter.ts';
import { hasToken } from './header-tokens.ts';

const STATS = defineStats({
  counters: ['decompressed', 'not_decompressed', 'total_uncompressed_bytes', 'total_compressed_bytes'],
});

/** envoy.filters.http.decompressor: decompresses requests and responses, and tells upstreams that it does. */
export const decompressor = defineHttpFilter({
  name: 'envoy.filters.http.decompressor',
  config: protobufConfig(DecompressorSchema),
  create(config, context) {
    const settings = new Settings(config, context);
    return () => new DecompressorFilter(settings);
  },
});

class Direction {
  readonly isEnabled: () => boolean;
  readonly #ignoresNoTransform: boolean;
  readonly stats: StatBlock;

  constructor(config: CommonDirectionConfig | undefined, context: FactoryContext, prefix: string) {
    this.isEnabled = compileRuntimeFlag(config?.enabled, context.runtime);
    this.#ignoresNoTransform = config?.ignoreNoTransformHeader ?? false;
    this.stats = context.stats.block(STATS, prefix);
  }

  allows(headers: Headers): boolean {
    return this.isEnabled() && (this.#ignoresNoTransform || !hasToken(headers.get('cache-control'), 'no-transform'));
  }
}

class Settings {
  readonly library: DecompressorLibrary;
  readonly request: Direction;
  readonly response: Direction;
  readonly advertises: boolean;
  readonly #context: FactoryContext;
  readonly #prefix: string;
  #errors: ReadonlyMap<string, Counter> | undefined = undefined;
  /** Of the trailers that tell sizes. */
  readonly compressedBytes: string;
  readonly uncompressedBytes: string;

  constructor(config: Decompressor, context: FactoryContext) {
    const { decompressorLibrary: library, requestDirectionConfig, responseDirectionConfig } = config;
    const name = library?.name ?? '';
    this.library = decompressorLibrary(name, library?.typedConfig);
    const prefix = `decompressor.${sanitizeStatName(name)}.${this.library.statName}.`;
    this.request = new Direction(requestDirectionConfig?.commonConfig, context, `${prefix}request.`);
    this.response = new Direction(responseDirectionConfig?.commonConfig, context, `${prefix}response.`);
    this.advertises = requestDirectionConfig?.advertiseAcceptEncoding ?? true;
    this.#context = context;
    this.#prefix = prefix;
    this.compressedBytes = `x-envoy-decompressor-${name}-compressed-bytes`.toLowerCase();
    this.uncompressedBytes = `x-envoy-decompressor-${name}-uncompressed-bytes`.toLowerCase();
  }

  /** The library's stats are there from the first message on that it is used for, as in Envoy. */
  begin(stats: StatBlock): Decompression {
    stats.inc(STATS.at.decompressed);
    const { errorCounters } = this.library;
    const { stats: scope } = this.#context;
    const prefix = `${this.#prefix}decompressor_library.`;
    this.#errors ??= new Map(errorCounters.map((name) => [name, scope.counter(`${prefix}${name}`)]));
    return new Decompression(this, stats);
  }

  countError(code: string): void {
    this.#errors?.get(this.library.errorCounter(code))?.inc();
  }
}

class DecompressorFilter implements HttpFilter {
  readonly #settings: Settings;
  #request: Decompression | undefined = undefined;
  #response: Decompression | undefined = undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  onRequestHeaders(headers: Headers, endStream: boolean): HeadersVerdict {
    const { request, response, advertises, library } = this.#settings;
    if (advertises && response.isEnabled())
      headers.set('accept-encoding', withEncoding(headers.get('accept-encoding') ?? '', library.encoding));
    this.#request = this.#begin(request, headers, endStream);
    return Continue;
  }

  onRequestData(chunk: Buffer, endStream: boolean): Awaitable<DataVerdict> {
    return this.#request === undefined ? Continue : this.#request.push(chunk, endStream);
  }

  onRequestTrailers(trailers: Headers): TrailersVerdict {
    this.#request?.tellSizes(trailers);
    return Continue;
  }

  onResponseHeaders(headers: Headers, endStream: boolean): HeadersVerdict {
    this.#response = this.#begin(this.#settings.response, headers, endStream);
    return Continue;
  }

  onResponseData(chunk: Buffer, endStream: boolean): Awaitable<DataVerdict> {
    return this.#response === undefined ? Continue : this.#response.push(chunk, endStream);
  }

  onResponseTrailers(trailers: Headers): TrailersVerdict {
    this.#response?.tellSizes(trailers);
    return Continue;
  }

  onDestroy(): void {
    this.#request?.close();
    this.#response?.close();
  }

  /** Undefined: the message passes as it is. */
  #begin(direction: Direction, headers: Headers, endStream: boolean): Decompression | undefined {
    if (endStream) return undefined;
    const codings = headers.get('content-encoding');
    const { library } = this.#settings;
    if (codings === undefined || !direction.allows(headers) || firstOf(codings) !== library.encoding) {
      direction.stats.inc(STATS.at.not_decompressed);
      return undefined;
    }
    headers.delete('content-length');
    const comma = codings.indexOf(',');
    if (comma === -1) headers.delete('content-encoding');
    else headers.set('content-encoding', codings.slice(comma + 1).trim());
    return this.#settings.begin(direction.stats);
  }
}

/** One message. */
class Decompression {
  readonly #settings: Settings;
  readonly #stats: StatBlock;
  readonly #body: BodyDecompression;
  #compressedBytes = 0;
  #uncompressedBytes = 0;

  constructor(settings: Settings, stats: StatBlock) {
    this.#settings = settings;
    this.#stats = stats;
    this.#body = new BodyDecompression(settings.library, (code) => settings.countError(code));
  }

  push(chunk: Buffer, end: boolean): Awaitable<DataVerdict> {
    this.#stats.add(STATS.at.total_compressed_bytes, chunk.length);
    this.#compressedBytes += chunk.length;
    const plain = this.#body.push(chunk, end);
    return plain instanceof Promise ? plain.then((data) => this.#pass(data, end)) : this.#pass(plain, end);
  }

  tellSizes(trailers: Headers): void {
    for (const [name, value] of this.#sizes) trailers.append(name, value);
  }

  close(): void {
    this.#body.close();
  }

  #pass(data: Buffer, end: boolean): DataVerdict {
    this.#stats.add(STATS.at.total_uncompressed_bytes, data.length);
    this.#uncompressedBytes += data.length;
    return end ? { data, trailers: this.#sizes } : data;
  }

  get #sizes(): HeaderList {
    const { compressedBytes, uncompressedBytes } = this.#settings;
    return [
      [compressedBytes, String(this.#compressedBytes)],
      [uncompressedBytes, String(this.#uncompressedBytes)],
    ];
  }
}

const firstOf = (codings: string): string => codings.split(',', 1)[0]!.trim().toLowerCase();

/** The list with this encoding at its end, and nowhere else; what other q-value it had no longer counts. */
function withEncoding(acceptEncoding: string, encoding: string): string {
  const others = acceptEncoding
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '' && item.split(';', 1)[0]!.trim() !== encoding);
  return [...others, encoding].join(',');
}
