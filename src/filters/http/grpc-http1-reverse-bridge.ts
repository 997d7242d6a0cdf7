import {
  FilterConfigPerRouteSchema,
  FilterConfigSchema,
  type FilterConfig,
  type FilterConfigPerRoute,
} from '../../api/generated/envoy/extensions/filters/http/grpc_http1_reverse_bridge/v3/config_pb.js';
import { protobufConfig } from '../config-type.ts';
import { isGrpcRequest } from '../grpc-call.ts';
import { FRAME_HEADER_SIZE, grpcFrame } from '../grpc-frames.ts';
import { grpcStatusOf } from '../grpc-status.ts';
import type { HeaderList, Headers } from '../headers.ts';
import {
  Continue,
  Detach,
  defineHttpFilter,
  type DataVerdict,
  type HeadersVerdict,
  type HttpFilter,
  type LocalReply,
  type StreamContext,
  type TrailersVerdict,
} from './filter.ts';

const UNKNOWN = 2;
const INTERNAL = 13;
const EMPTY = Buffer.alloc(0);

/** envoy.filters.http.grpc_http1_reverse_bridge: lets gRPC clients call servers that speak plain HTTP. */
export const grpcHttp1ReverseBridge = defineHttpFilter({
  name: 'envoy.filters.http.grpc_http1_reverse_bridge',
  config: protobufConfig(FilterConfigSchema),
  routeConfig: protobufConfig(FilterConfigPerRouteSchema),
  create(config) {
    return (stream: StreamContext<FilterConfigPerRoute>) =>
      stream.routeConfig?.disabled === true ? undefined : new ReverseBridgeFilter(config, stream);
  },
});

class ReverseBridgeFilter implements HttpFilter {
  readonly #config: FilterConfig;
  readonly #stream: StreamContext<FilterConfigPerRoute>;
  readonly #sizeHeader: string;
  #enabled = false;
  /** The client's content type: it may name a codec. */
  #type = '';
  #status = 0;
  /** The start of a request's frame, until all of its header is there. */
  #frameStart: Buffer | undefined = EMPTY;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** The size of the response that the upstream has told; -1 = not. */
  #size = -1;
  #started = false;

  constructor(config: FilterConfig, stream: StreamContext<FilterConfigPerRoute>) {
    this.#config = config;
    this.#stream = stream;
    this.#sizeHeader = config.responseSizeHeader.toLowerCase();
  }

  onRequestHeaders(headers: Headers, endStream: boolean): HeadersVerdict {
    if (endStream || !isGrpcRequest(headers)) return Detach;
    this.#enabled = true;
    this.#type = headers.get('content-type')!;
    headers.set('content-type', this.#config.contentType);
    headers.set('accept', this.#config.contentType);
    if (this.#config.withholdGrpcFrames) adjustLength(headers, -FRAME_HEADER_SIZE);
    this.#stream.clearRoute();
    return this.#config.withholdGrpcFrames ? Continue : Detach;
  }

  onRequestData(chunk: Buffer, endStream: boolean): DataVerdict {
    if (this.#frameStart === undefined) return Continue;
    const start = this.#frameStart.length === 0 ? chunk : Buffer.concat([this.#frameStart, chunk]);
    if (start.length < FRAME_HEADER_SIZE) {
      this.#frameStart = Buffer.from(start);
      return endStream ? failure(UNKNOWN, 'invalid request body', 'grpc_bridge_data_too_small') : EMPTY;
    }
    this.#frameStart = undefined;
    return start.subarray(FRAME_HEADER_SIZE);
  }

  onResponseHeaders(headers: Headers, endStream: boolean): HeadersVerdict {
    if (!this.#enabled) return Detach;
    const type = headers.get('content-type');
    const status = headers.get(':status') ?? '';
    if (type !== this.#config.contentType) {
      const what = type === undefined ? 'no content-type header' : `unsupported content-type ${type}`;
      const message = `envoy reverse bridge: upstream responded with ${what}, status code ${status}`;
      return failure(UNKNOWN, message, 'grpc_bridge_content_type_wrong');
    }
    headers.set('content-type', this.#type);
    if (this.#config.withholdGrpcFrames) {
      if (this.#sizeHeader !== '') {
        const told = headers.get(this.#sizeHeader)?.split(',')[0]!.trim() ?? '';
        if (!/^\d{1,10}$/.test(told)) {
          const message = 'envoy reverse bridge: upstream did not set content length';
          return failure(INTERNAL, message, 'grpc_bridge_content_length_missing');
        }
        this.#size = Number(told);
        headers.set('content-length', String(this.#size + FRAME_HEADER_SIZE));
      } else adjustLength(headers, FRAME_HEADER_SIZE);
    }
    // Unlike elsewhere, 200 alone is a success; the client gets 200 in any case.
    this.#status = status === '200' ? 0 : grpcStatusOf(Number(status));
    headers.set(':status', '200');
    if (!endStream || !this.#config.withholdGrpcFrames) return Continue;
    if (this.#size > 0) return wrongSize();
    headers.set('content-length', String(FRAME_HEADER_SIZE));
    return { data: frameHeader(0), trailers: this.#trailers() };
  }

  onResponseData(chunk: Buffer, endStream: boolean): DataVerdict {
    if (!this.#enabled) return Continue;
    this.#bytes += chunk.length;
    const trailers = this.#trailers();
    if (!this.#config.withholdGrpcFrames) return endStream ? { data: chunk, trailers } : Continue;
    if (this.#size >= 0) {
      let data = chunk;
      if (!this.#started) data = Buffer.concat([frameHeader(this.#size), chunk]);
      this.#started = true;
      if (!endStream) return data;
      return this.#bytes === this.#size ? { data, trailers } : wrongSize();
    }
    const { bufferLimit } = this.#stream;
    if (bufferLimit > 0 && this.#bytes > bufferLimit)
      return { status: 500, body: 'Internal Server Error', details: 'response_payload_too_large' };
    this.#chunks.push(chunk);
    return endStream ? { data: this.#frame(), trailers } : EMPTY;
  }

  onResponseTrailers(trailers: Headers): TrailersVerdict {
    if (!this.#enabled) return Continue;
    trailers.set('grpc-status', String(this.#status));
    return this.#config.withholdGrpcFrames && this.#size < 0 ? { lastData: this.#frame() } : Continue;
  }

  #trailers(): HeaderList {
    return [['grpc-status', String(this.#status)]];
  }

  #frame(): Buffer {
    return grpcFrame(Buffer.concat(this.#chunks.splice(0)));
  }
}

/** What a gRPC client is told: 200, and the outcome. */
function failure(grpcStatus: number, body: string, details: string): LocalReply {
  return { status: 200, grpcStatus, body, details };
}

function wrongSize(): LocalReply {
  const message = 'envoy reverse bridge: upstream set incorrect content length';
  return failure(INTERNAL, message, 'grpc_bridge_content_length_wrong');
}

function frameHeader(size: number): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_SIZE);
  header.writeUInt32BE(size >>> 0, 1);
  return header;
}

function adjustLength(headers: Headers, by: number): void {
  const length = headers.get('content-length');
  if (length === undefined || !/^\d+$/.test(length) || Number(length) === 0) return;
  headers.set('content-length', String(Math.max(0, Number(length) + by)));
}
