import { create } from '@bufbuild/protobuf';
import {
  Compressor_CommonDirectionConfigSchema,
  type Compressor,
  type Compressor_CommonDirectionConfig,
  type CompressorPerRoute,
} from '../../../api/generated/envoy/extensions/filters/http/compressor/v3/compressor_pb.js';
import { defineStats, sanitizeStatName, type StatBlock } from '../../../telemetry/stats/stats.ts';
import type { Headers } from '../../headers.ts';
import { compileRuntimeFlag } from '../../runtime-flag.ts';
import type { FactoryContext } from '../filter.ts';
import { compressorLibrary, type ZlibLibrary } from './compressor-library.ts';

export const DIRECTION_STATS = defineStats({
  counters: [
    'compressed',
    'not_compressed',
    'total_uncompressed_bytes',
    'total_compressed_bytes',
    'content_length_too_small',
  ],
});
export const RESPONSE_STATS = defineStats({
  counters: [
    'no_accept_header',
    'header_identity',
    'header_compressor_used',
    'header_compressor_overshadowed',
    'header_wildcard',
    'header_not_valid',
    'not_compressed_etag',
  ],
});

const DEFAULT_MIN_CONTENT_LENGTH = 30;
const DEFAULT_CONTENT_TYPES = [
  'application/ecmascript',
  'application/grpc-web',
  'application/grpc-web+proto',
  'application/javascript',
  'application/json',
  'application/x-javascript',
  'application/x-json',
  'application/xhtml+xml',
  'application/xml',
  'image/svg+xml',
  'text/css',
  'text/ecmascript',
  'text/html',
  'text/javascript',
  'text/js',
  'text/jscript',
  'text/plain',
  'text/x-javascript',
  'text/x-js',
  'text/xml',
];
/** Codings by which a message may be compressed already. */
const TRANSFER_CODINGS = ['gzip', 'br', 'deflate', 'compress', 'zstd'];

/** One direction of a compressor. */
export class DirectionSettings {
  readonly stats: StatBlock;
  readonly #enabled: () => boolean;
  readonly #minContentLength: number;
  readonly #contentTypes: ReadonlySet<string>;

  constructor(config: Compressor_CommonDirectionConfig, context: FactoryContext, statPrefix: string) {
    this.#enabled = compileRuntimeFlag(config.enabled, context.runtime);
    this.#minContentLength = config.minContentLength || DEFAULT_MIN_CONTENT_LENGTH;
    const types = config.contentType.length > 0 ? config.contentType : DEFAULT_CONTENT_TYPES;
    this.#contentTypes = new Set(types.map((type) => type.toLowerCase()));
    this.stats = context.stats.block(DIRECTION_STATS, statPrefix);
  }

  get enabled(): boolean {
    return this.#enabled();
  }

  /** A message that doesn't tell its length is long enough. */
  isLongEnough(headers: Headers): boolean {
    const length = headers.get('content-length');
    if (length === undefined || Number(length) >= this.#minContentLength) return true;
    this.stats.inc(DIRECTION_STATS.at.content_length_too_small);
    return false;
  }

  /** A message without a type may be compressed. */
  allowsTypeOf(headers: Headers): boolean {
    const type = headers.get('content-type');
    if (type === undefined) return true;
    return this.#contentTypes.has(type.split(';', 1)[0]!.trim().toLowerCase());
  }
}

/** One config of the filter, compiled. */
export class CompressorSettings {
  readonly library: ZlibLibrary;
  readonly chooseFirst: boolean;
  /** Undefined: requests pass as they are. */
  readonly request: DirectionSettings | undefined;
  readonly requestStats: StatBlock;
  readonly response: DirectionSettings;
  readonly responseStats: StatBlock;
  readonly disableOnEtag: boolean;
  readonly removeAcceptEncoding: boolean;

  constructor(config: Compressor, context: FactoryContext) {
    const { compressorLibrary: library, requestDirectionConfig, responseDirectionConfig } = config;
    const name = library?.name ?? '';
    this.library = compressorLibrary(name, library?.typedConfig);
    this.chooseFirst = config.chooseFirst;
    const prefix = `compressor.${sanitizeStatName(name)}.${this.library.statName}`;
    const none = create(Compressor_CommonDirectionConfigSchema);
    const request = new DirectionSettings(requestDirectionConfig?.commonConfig ?? none, context, `${prefix}.request`);
    this.request = requestDirectionConfig === undefined ? undefined : request;
    this.requestStats = request.stats;
    // Without a direction of their own, responses are configured by the deprecated fields and count in the older names.
    this.response =
      responseDirectionConfig === undefined
        ? new DirectionSettings(deprecatedFields(config), context, prefix)
        : new DirectionSettings(responseDirectionConfig.commonConfig ?? none, context, `${prefix}.response`);
    this.responseStats = context.stats.block(RESPONSE_STATS, prefix);
    this.disableOnEtag = (responseDirectionConfig ?? config).disableOnEtagHeader;
    this.removeAcceptEncoding = (responseDirectionConfig ?? config).removeAcceptEncodingHeader;
  }

  /** Whether no transfer coding says that the message is compressed already. */
  allowsTransferEncodingOf(headers: Headers): boolean {
    const codings = headers.get('transfer-encoding');
    if (codings === undefined || codings === 'chunked') return true;
    return !codings.split(',').some((coding) => TRANSFER_CODINGS.includes(coding.trim().toLowerCase()));
  }
}

function deprecatedFields(config: Compressor): Compressor_CommonDirectionConfig {
  return create(Compressor_CommonDirectionConfigSchema, {
    ...(config.contentLength !== undefined && { minContentLength: config.contentLength }),
    contentType: config.contentType,
    ...(config.runtimeEnabled !== undefined && { enabled: config.runtimeEnabled }),
  });
}

/** What a route changes: undefined = nothing. */
export interface RouteCompression {
  readonly enabled: boolean | undefined;
  readonly removeAcceptEncoding: boolean | undefined;
}

export function routeCompression({ override }: CompressorPerRoute): RouteCompression {
  if (override.case === 'disabled') return { enabled: false, removeAcceptEncoding: undefined };
  const response = override.value?.responseDirectionConfig;
  // That it is there, be it empty, turns compression on.
  return {
    enabled: response === undefined ? undefined : true,
    removeAcceptEncoding: response?.removeAcceptEncodingHeader,
  };
}
