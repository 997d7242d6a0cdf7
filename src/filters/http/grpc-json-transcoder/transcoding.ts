import { createRegistry, type Registry } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import type { GrpcJsonTranscoder } from '../../../api/generated/envoy/extensions/filters/http/grpc_json_transcoder/v3/transcoder_pb.js';
import { StatusSchema } from '../../../api/generated/google/rpc/status_pb.js';
import { JsonPrinter } from './json-printer.ts';
import { MethodTable } from './method-table.ts';

/** One config, of the filter or of a route, compiled. */
export class Transcoding {
  /** Undefined: no services are named, which turns the filter off. */
  readonly table: MethodTable | undefined;
  readonly printer: JsonPrinter | undefined;
  /** The types that an Any may hold. */
  readonly registry: Registry;
  readonly keepsRoute: boolean;
  readonly convertsStatus: boolean;
  readonly rejectsUnknownMethods: boolean;
  readonly rejectsUnknownParameters: boolean;
  readonly rejectsCollisions: boolean;
  readonly ignoresCaseOfEnums: boolean;
  readonly maxRequestBytes: number | undefined;
  readonly maxResponseBytes: number | undefined;

  /** Throws ConfigError. */
  constructor(config: GrpcJsonTranscoder, descriptors: Uint8Array) {
    const options = config.requestValidationOptions;
    this.keepsRoute = config.matchIncomingRequestRoute;
    this.convertsStatus = config.convertGrpcStatus;
    this.rejectsUnknownMethods = options?.rejectUnknownMethod ?? false;
    this.rejectsUnknownParameters = options?.rejectUnknownQueryParameters ?? false;
    this.rejectsCollisions = options?.rejectBindingBodyFieldCollisions ?? false;
    this.ignoresCaseOfEnums = config.caseInsensitiveEnumParsing;
    this.maxRequestBytes = config.maxRequestBodySize;
    this.maxResponseBytes = config.maxResponseBodySize;
    if (config.services.length === 0) {
      this.registry = createRegistry();
      return;
    }
    this.table = new MethodTable(config, descriptors);
    this.registry = createRegistry(StatusSchema, AnySchema, this.table.registry);
    this.printer = new JsonPrinter(config.printOptions, this.registry);
  }
}
