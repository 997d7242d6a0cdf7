import { fromBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import zlib from 'node:zlib';
import { BrotliSchema } from '../../../api/generated/envoy/extensions/compression/brotli/decompressor/v3/brotli_pb.js';
import { GzipSchema } from '../../../api/generated/envoy/extensions/compression/gzip/decompressor/v3/gzip_pb.js';
import { ZstdSchema } from '../../../api/generated/envoy/extensions/compression/zstd/decompressor/v3/zstd_pb.js';
import { ConfigError } from '../../config-type.ts';
import { zlibLibrary, type ZlibLibrary } from '../compressor/compressor-library.ts';

const { constants } = zlib;
const CHUNK_SIZE = 4096;
const GZIP_WINDOW_BITS = 15;
const MAX_INFLATE_RATIO = 100;

/** A way to decompress, configured. */
export interface DecompressorLibrary extends ZlibLibrary {
  /** What has come may grow to so many times its length; what comes beyond is a bomb. */
  readonly maxRatio: number;
  /** Counters of errors, under `decompressor_library.`; the first is for those that have none of their own. */
  readonly errorCounters: readonly [string, ...string[]];
  /** The counter for an error of the stream. */
  errorCounter(code: string): string;
}

const ZLIB_ERRORS: Readonly<Record<string, string>> = {
  Z_ERRNO: 'zlib_errno',
  Z_STREAM_ERROR: 'zlib_stream_error',
  Z_MEM_ERROR: 'zlib_mem_error',
  Z_BUF_ERROR: 'zlib_buf_error',
  Z_VERSION_ERROR: 'zlib_version_error',
};
const ZSTD_ERRORS: Readonly<Record<string, string>> = {
  ZSTD_error_dictionary_corrupted: 'zstd_dictionary_error',
  ZSTD_error_dictionary_wrong: 'zstd_dictionary_error',
  ZSTD_error_checksum_wrong: 'zstd_checksum_wrong_error',
  ZSTD_error_memory_allocation: 'zstd_memory_error',
};

/** Reads the `typed_config` of a decompressor library. Throws ConfigError where it is none that is known. */
export const decompressorLibrary = (name: string, config: Any | undefined): DecompressorLibrary =>
  zlibLibrary('decompressor_library', name, config, {
    [GzipSchema.typeName]: gunzip,
    [BrotliSchema.typeName]: brotli,
    [ZstdSchema.typeName]: zstd,
  });

function gunzip(value: Uint8Array): DecompressorLibrary {
  const { windowBits, chunkSize, maxInflateRatio } = fromBinary(GzipSchema, value);
  const options: zlib.ZlibOptions = {
    windowBits: windowBits ?? GZIP_WINDOW_BITS,
    chunkSize: chunkSize ?? CHUNK_SIZE,
    // A body that ends too early is let through as far as it goes.
    finishFlush: constants.Z_SYNC_FLUSH,
  };
  const maxRatio = maxInflateRatio ?? MAX_INFLATE_RATIO;
  return {
    encoding: 'gzip',
    statName: 'gzip',
    flush: constants.Z_SYNC_FLUSH,
    whole: (body) => zlib.gunzipSync(body, { ...options, maxOutputLength: outputLimit(body, maxRatio) }),
    stream: () => zlib.createGunzip(options),
    maxRatio,
    errorCounters: ['zlib_data_error', ...Object.values(ZLIB_ERRORS)],
    errorCounter: (code) => ZLIB_ERRORS[code] ?? 'zlib_data_error',
  };
}

function brotli(value: Uint8Array): DecompressorLibrary {
  const { chunkSize, disableRingBufferReallocation } = fromBinary(BrotliSchema, value);
  const options: zlib.BrotliOptions = {
    chunkSize: chunkSize ?? CHUNK_SIZE,
    finishFlush: constants.BROTLI_OPERATION_FLUSH,
    params: { [constants.BROTLI_DECODER_PARAM_DISABLE_RING_BUFFER_REALLOCATION]: disableRingBufferReallocation },
  };
  return {
    encoding: 'br',
    statName: 'brotli',
    flush: constants.BROTLI_OPERATION_FLUSH,
    whole: (body) =>
      zlib.brotliDecompressSync(body, { ...options, maxOutputLength: outputLimit(body, MAX_INFLATE_RATIO) }),
    stream: () => zlib.createBrotliDecompress(options),
    maxRatio: MAX_INFLATE_RATIO,
    errorCounters: ['brotli_error', 'brotli_output_overflow', 'brotli_redundant_input'],
    errorCounter: (code) => (code === OVERFLOW ? 'brotli_output_overflow' : 'brotli_error'),
  };
}

function zstd(value: Uint8Array): DecompressorLibrary {
  const { dictionaries, chunkSize } = fromBinary(ZstdSchema, value);
  if (dictionaries.length > 0)
    throw new ConfigError(
      'unsupported: dictionaries are not implemented',
      'decompressor_library.typed_config.dictionaries',
    );
  const options: zlib.ZstdOptions = { chunkSize: chunkSize ?? CHUNK_SIZE, finishFlush: constants.ZSTD_e_flush };
  return {
    encoding: 'zstd',
    statName: 'zstd',
    flush: constants.ZSTD_e_flush,
    whole: (body) =>
      zlib.zstdDecompressSync(body, { ...options, maxOutputLength: outputLimit(body, MAX_INFLATE_RATIO) }),
    stream: () => zlib.createZstdDecompress(options),
    maxRatio: MAX_INFLATE_RATIO,
    errorCounters: ['zstd_generic_error', ...new Set(Object.values(ZSTD_ERRORS))],
    errorCounter: (code) => ZSTD_ERRORS[code] ?? 'zstd_generic_error',
  };
}

/** The code of the error by which a stream that grew too much ends. */
export const OVERFLOW = 'ERR_BUFFER_TOO_LARGE';

const outputLimit = (body: Buffer, ratio: number): number => Math.max(1, body.length * ratio);
