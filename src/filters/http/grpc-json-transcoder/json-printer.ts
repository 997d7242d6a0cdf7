import { fromBinary, toJson, type DescMessage, type Registry } from '@bufbuild/protobuf';
import type { GrpcJsonTranscoder_PrintOptions } from '../../../api/generated/envoy/extensions/filters/http/grpc_json_transcoder/v3/transcoder_pb.js';

/** Prints messages as the print options say, as protobuf's C++ library does. */
export class JsonPrinter {
  /** Streams have a line for each message instead of an array. */
  readonly lines: boolean;
  readonly #options: {
    readonly registry: Registry;
    readonly alwaysEmitImplicit: boolean;
    readonly enumAsInteger: boolean;
    readonly useProtoFieldName: boolean;
  };
  readonly #whitespace: boolean;

  constructor(options: GrpcJsonTranscoder_PrintOptions | undefined, registry: Registry) {
    this.lines = options?.streamNewlineDelimited ?? false;
    this.#whitespace = options?.addWhitespace ?? false;
    this.#options = {
      registry,
      alwaysEmitImplicit: options?.alwaysPrintPrimitiveFields ?? false,
      enumAsInteger: options?.alwaysPrintEnumsAsInts ?? false,
      useProtoFieldName: options?.preserveProtoFieldNames ?? false,
    };
  }

  /** Throws on bytes that are no such message. */
  print(desc: DescMessage, message: Uint8Array): string {
    const json = toJson(desc, fromBinary(desc, message), this.#options);
    const text = JSON.stringify(json, undefined, this.#whitespace ? 1 : 0).replace(ESCAPED, escape);
    return this.#whitespace ? `${text}\n` : text;
  }
}

/** What protobuf escapes beyond what JSON asks for. */
const ESCAPED = /[<>\x7f-\x9f\u2028\u2029\ufeff]/g;

function escape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
