import { fromBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import zlib from 'node:zlib';
import {
  Brotli_EncoderMode,
  BrotliSchema,
} from '../../../api/generated/envoy/extensions/compression/brotli/compressor/v3/brotli_pb.js';
import { GzipSchema } from '../../../api/generated/envoy/extensions/compression/gzip/compressor/v3/gzip_pb.js';
import { ZstdSchema } from '../../../api/generated/envoy/extensions/compression/zstd/compressor/v3/zstd_pb.js';
import { ConfigError } from '../../config-type.ts';
import { typeNameOf } from '../../../api/type-name.ts';

const { constants } = zlib;

/** A stream of node:zlib: what is written comes out changed, at the latest when it is flushed. */
export type ZlibStream =
  zlib.Gzip | zlib.BrotliCompress | zlib.ZstdCompress | zlib.Gunzip | zlib.BrotliDecompress | zlib.ZstdDecompress;

/** A way to compress or to decompress, configured. */
export interface ZlibLibrary {
  /** For `content-encoding`. */
  readonly encoding: 'gzip' | 'br' | 'zstd';
  /** In the names of stats. */
  readonly statName: 'gzip' | 'brotli' | 'zstd';
  /** The `kind` of flush that lets a reader decode all that was written so far. */
  readonly flush: number;
  /** A whole body at once. */
  whole(body: Buffer): Buffer;
  stream(): ZlibStream;
}

const CHUNK_SIZE = 4096;
/** Envoy's defaults, which spare memory: zlib's own are 8 and 15. */
const GZIP_MEMORY_LEVEL = 5;
const GZIP_WINDOW_BITS = 12;
const BROTLI_QUALITY = 3;
const BROTLI_WINDOW_BITS = 18;
const BROTLI_INPUT_BLOCK_BITS = 24;

/** Reads the `typed_config` of a compressor library. Throws ConfigError where it is none that is known. */
export const compressorLibrary = (name: string, config: Any | undefined): ZlibLibrary =>
  zlibLibrary('compressor_library', name, config, {
    [GzipSchema.typeName]: gzip,
    [BrotliSchema.typeName]: brotli,
    [ZstdSchema.typeName]: zstd,
  });

/** The library that the `typed_config` in `field` asks for, made of its message. */
export function zlibLibrary<Library extends ZlibLibrary>(
  field: string,
  name: string,
  config: Any | undefined,
  makers: Readonly<Record<string, (value: Uint8Array) => Library>>,
): Library {
  const typeUrl = config?.typeUrl ?? '';
  const make = makers[typeNameOf(typeUrl)];
  if (make === undefined)
    throw new ConfigError(`Didn't find a registered implementation for '${name}' with type URL: '${typeUrl}'`, field);
  return make(config?.value ?? new Uint8Array());
}

function gzip(value: Uint8Array): ZlibLibrary {
  const { memoryLevel, compressionLevel, compressionStrategy, windowBits, chunkSize } = fromBinary(GzipSchema, value);
  const options: zlib.ZlibOptions = {
    // 0 is the default, which zlib calls -1; the strategies are numbered alike.
    level: compressionLevel === 0 ? constants.Z_DEFAULT_COMPRESSION : compressionLevel,
    memLevel: memoryLevel ?? GZIP_MEMORY_LEVEL,
    strategy: compressionStrategy,
    windowBits: windowBits ?? GZIP_WINDOW_BITS,
    chunkSize: chunkSize ?? CHUNK_SIZE,
  };
  return {
    encoding: 'gzip',
    statName: 'gzip',
    flush: constants.Z_SYNC_FLUSH,
    whole: (body) => zlib.gzipSync(body, options),
    stream: () => zlib.createGzip(options),
  };
}

function brotli(value: Uint8Array): ZlibLibrary {
  const config = fromBinary(BrotliSchema, value);
  const modes: Readonly<Record<Brotli_EncoderMode, number>> = {
    [Brotli_EncoderMode.DEFAULT]: constants.BROTLI_DEFAULT_MODE,
    [Brotli_EncoderMode.GENERIC]: constants.BROTLI_MODE_GENERIC,
    [Brotli_EncoderMode.TEXT]: constants.BROTLI_MODE_TEXT,
    [Brotli_EncoderMode.FONT]: constants.BROTLI_MODE_FONT,
  };
  const options: zlib.BrotliOptions = {
    chunkSize: config.chunkSize ?? CHUNK_SIZE,
    params: {
      [constants.BROTLI_PARAM_MODE]: modes[config.encoderMode],
      [constants.BROTLI_PARAM_QUALITY]: config.quality ?? BROTLI_QUALITY,
      [constants.BROTLI_PARAM_LGWIN]: config.windowBits ?? BROTLI_WINDOW_BITS,
      [constants.BROTLI_PARAM_LGBLOCK]: config.inputBlockBits ?? BROTLI_INPUT_BLOCK_BITS,
      [constants.BROTLI_PARAM_DISABLE_LITERAL_CONTEXT_MODELING]: config.disableLiteralContextModeling,
    },
  };
  return {
    encoding: 'br',
    statName: 'brotli',
    flush: constants.BROTLI_OPERATION_FLUSH,
    whole: (body) => zlib.brotliCompressSync(body, options),
    stream: () => zlib.createBrotliCompress(options),
  };
}

function zstd(value: Uint8Array): ZlibLibrary {
  const { compressionLevel, enableChecksum, strategy, dictionary, chunkSize } = fromBinary(ZstdSchema, value);
  if (dictionary !== undefined)
    throw new ConfigError(
      'unsupported: dictionaries are not implemented',
      'compressor_library.typed_config.dictionary',
    );
  const options: zlib.ZstdOptions = {
    chunkSize: chunkSize ?? CHUNK_SIZE,
    params: {
      // 0 stands for the defaults here and there.
      [constants.ZSTD_c_compressionLevel]: compressionLevel ?? 0,
      [constants.ZSTD_c_strategy]: strategy,
      [constants.ZSTD_c_checksumFlag]: enableChecksum,
    },
  };
  return {
    encoding: 'zstd',
    statName: 'zstd',
    flush: constants.ZSTD_e_flush,
    whole: (body) => zlib.zstdCompressSync(body, options),
    stream: () => zlib.createZstdCompress(options),
  };
}
