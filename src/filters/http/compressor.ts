import {
  CompressorPerRouteSchema,
  CompressorSchema,
} from '../../api/generated/envoy/extensions/filters/http/compressor/v3/compressor_pb.js';
import { protobufConfig } from '../config-type.ts';
import type { Headers } from '../headers.ts';
import { BodyCompression } from './compressor/body-compression.ts';
import { chooseEncoding, type EncodingChoice } from './compressor/choose-encoding.ts';
import {
  CompressorSettings,
  DIRECTION_STATS,
  RESPONSE_STATS,
  routeCompression,
  type DirectionSettings,
  type RouteCompression,
} from './compressor/compressor-settings.ts';
import {
  Continue,
  defineHttpFilter,
  type Awaitable,
  type DataVerdict,
  type HeadersVerdict,
  type HttpFilter,
  type StreamContext,
  type TrailersVerdict,
} from './filter.ts';
import { hasToken } from './header-tokens.ts';

const DIRECTION = DIRECTION_STATS.at;
const RESPONSE = RESPONSE_STATS.at;
/** Filter state, by which the compressors of a chain know one another: those there are, and which one was chosen. */
const REGISTRY = 'compressors';
const DECISION = 'encoding_decision';
const EMPTY = Buffer.alloc(0);

/** envoy.filters.http.compressor: compresses responses for clients that accept it, and requests. */
export const compressor = defineHttpFilter({
  name: 'envoy.filters.http.compressor',
  config: protobufConfig(CompressorSchema),
  routeConfig: protobufConfig(CompressorPerRouteSchema),
  compileRoute: (config) => routeCompression(config),
  create(config, context) {
    const settings = new CompressorSettings(config, context);
    return (stream: StreamContext<RouteCompression>) => new CompressorFilter(settings, stream);
  },
});

class CompressorFilter implements HttpFilter {
  readonly #settings: CompressorSettings;
  readonly #stream: StreamContext<RouteCompression>;
  #acceptEncoding: string | undefined = undefined;
  #request: BodyCompression | undefined = undefined;
  #response: BodyCompression | undefined = undefined;

  constructor(settings: CompressorSettings, stream: StreamContext<RouteCompression>) {
    this.#settings = settings;
    this.#stream = stream;
    const { filterState } = stream.info;
    const others = filterState.get(REGISTRY) as CompressorSettings[] | undefined;
    if (others === undefined) filterState.set(REGISTRY, [settings]);
    else others.push(settings);
  }

  onRequestHeaders(headers: Headers, endStream: boolean): HeadersVerdict {
    const { request, requestStats, removeAcceptEncoding, library } = this.#settings;
    this.#acceptEncoding = headers.get('accept-encoding');
    if (this.#respondsCompressed && (this.#stream.routeConfig?.removeAcceptEncoding ?? removeAcceptEncoding))
      headers.delete('accept-encoding');
    if (
      endStream ||
      request === undefined ||
      !request.enabled ||
      isUpgrade(headers) ||
      !request.isLongEnough(headers) ||
      !request.allowsTypeOf(headers) ||
      headers.has('content-encoding') ||
      !this.#settings.allowsTransferEncodingOf(headers)
    ) {
      requestStats.inc(DIRECTION.not_compressed);
      return Continue;
    }
    headers.delete('content-length');
    headers.set('content-encoding', library.encoding);
    requestStats.inc(DIRECTION.compressed);
    this.#request = new BodyCompression(library);
    return Continue;
  }

  onRequestData(chunk: Buffer, endStream: boolean): Awaitable<DataVerdict> {
    const { request } = this.#settings;
    return this.#request === undefined ? Continue : compress(this.#request, request!, chunk, endStream);
  }

  onRequestTrailers(): Awaitable<TrailersVerdict> {
    return this.#request === undefined ? Continue : finish(this.#request, this.#settings.request!);
  }

  onResponseHeaders(headers: Headers, endStream: boolean): HeadersVerdict {
    const { response, library } = this.#settings;
    const isWanted = this.#respondsCompressed && response.isLongEnough(headers);
    const isCompressible =
      isWanted &&
      !isUpgrade(headers) &&
      response.allowsTypeOf(headers) &&
      !forbidsTransformation(headers) &&
      this.#allowsEtagOf(headers) &&
      !headers.has('content-encoding');
    if (
      !endStream &&
      isWanted &&
      this.#isAccepted(headers) &&
      isCompressible &&
      this.#settings.allowsTransferEncodingOf(headers)
    ) {
      dropStrongEtag(headers);
      headers.delete('content-length');
      headers.set('content-encoding', library.encoding);
      response.stats.inc(DIRECTION.compressed);
      this.#response = new BodyCompression(library);
    } else response.stats.inc(DIRECTION.not_compressed);
    // Also where this client got it as it is: others may not.
    if (isCompressible) addVary(headers);
    return Continue;
  }

  onResponseData(chunk: Buffer, endStream: boolean): Awaitable<DataVerdict> {
    const { response } = this.#settings;
    return this.#response === undefined ? Continue : compress(this.#response, response, chunk, endStream);
  }

  onResponseTrailers(): Awaitable<TrailersVerdict> {
    return this.#response === undefined ? Continue : finish(this.#response, this.#settings.response);
  }

  onDestroy(): void {
    this.#request?.close();
    this.#response?.close();
  }

  get #respondsCompressed(): boolean {
    return this.#stream.routeConfig?.enabled ?? this.#settings.response.enabled;
  }

  /** Whether the client takes this encoding, and no other compressor of the chain was chosen. */
  #isAccepted(headers: Headers): boolean {
    const { responseStats: stats, library } = this.#settings;
    if (this.#acceptEncoding === undefined) {
      stats.inc(RESPONSE.no_accept_header);
      return false;
    }
    const { encoding, reason } = this.#decide(this.#acceptEncoding, headers);
    const isChosen = encoding === library.encoding;
    if (reason === 'identity') stats.inc(RESPONSE.header_identity);
    else if (reason === 'wildcard') stats.inc(RESPONSE.header_wildcard);
    else if (reason === 'not-valid') stats.inc(RESPONSE.header_not_valid);
    else stats.inc(isChosen ? RESPONSE.header_compressor_used : RESPONSE.header_compressor_overshadowed);
    return isChosen;
  }

  /** The chain's first compressor to be asked decides for all. */
  #decide(acceptEncoding: string, headers: Headers): EncodingChoice {
    const { filterState } = this.#stream.info;
    let decision = filterState.get(DECISION) as EncodingChoice | undefined;
    if (decision === undefined) {
      const registered = filterState.get(REGISTRY) as readonly CompressorSettings[];
      const offers = registered
        .filter(({ response }) => response.allowsTypeOf(headers))
        .map(({ library, chooseFirst }) => ({ encoding: library.encoding, chooseFirst }));
      decision = chooseEncoding(acceptEncoding, offers);
      filterState.set(DECISION, decision);
    }
    return decision;
  }

  #allowsEtagOf(headers: Headers): boolean {
    if (!this.#settings.disableOnEtag || !headers.has('etag')) return true;
    this.#settings.responseStats.inc(RESPONSE.not_compressed_etag);
    return false;
  }
}

function compress(
  compression: BodyCompression,
  { stats }: DirectionSettings,
  chunk: Buffer,
  end: boolean,
): Awaitable<Buffer> {
  stats.add(DIRECTION.total_uncompressed_bytes, chunk.length);
  const counted = (compressed: Buffer): Buffer => {
    stats.add(DIRECTION.total_compressed_bytes, compressed.length);
    return compressed;
  };
  const compressed = compression.push(chunk, end);
  return compressed instanceof Promise ? compressed.then(counted) : counted(compressed);
}

/** Trailers end the body: what the library still holds goes before them. */
function finish(compression: BodyCompression, settings: DirectionSettings): Awaitable<TrailersVerdict> {
  const last = compress(compression, settings, EMPTY, true);
  return last instanceof Promise ? last.then((lastData) => ({ lastData })) : { lastData: last };
}

function isUpgrade(headers: Headers): boolean {
  return headers.has('upgrade') && hasToken(headers.get('connection'), 'upgrade');
}

function forbidsTransformation(headers: Headers): boolean {
  return hasToken(headers.get('cache-control'), 'no-transform');
}

/** A strong etag promises the same bytes; a weak one may stay (RFC 9110 section 8.8.1). */
function dropStrongEtag(headers: Headers): void {
  const etag = headers.get('etag');
  if (etag !== undefined && !/^w\//i.test(etag)) headers.delete('etag');
}

function addVary(headers: Headers): void {
  const vary = headers.get('vary');
  if (vary === undefined) headers.set('vary', 'Accept-Encoding');
  else if (!vary.split(',').some((item) => item.trim() === 'Accept-Encoding'))
    headers.set('vary', `${vary}, Accept-Encoding`);
}
