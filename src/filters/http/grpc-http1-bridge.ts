import {
  ConfigSchema,
  type Config,
} from '../../api/generated/envoy/extensions/filters/http/grpc_http1_bridge/v3/config_pb.js';
import { protobufConfig } from '../config-type.ts';
import { FRAME_HEADER_SIZE, grpcFrame } from '../grpc-frames.ts';
import { GRPC_CONTENT_TYPE, isGrpcRequest } from '../grpc-call.ts';
import type { Headers } from '../headers.ts';
import {
  CollectBody,
  Continue,
  Detach,
  defineHttpFilter,
  type DataVerdict,
  type HeadersVerdict,
  type HttpFilter,
  type StreamContext,
} from './filter.ts';

const PROTOBUF = 'application/x-protobuf';

/** envoy.filters.http.grpc_http1_bridge: lets HTTP/1.1 clients that see no trailers call gRPC services. */
export const grpcHttp1Bridge = defineHttpFilter({
  name: 'envoy.filters.http.grpc_http1_bridge',
  config: protobufConfig(ConfigSchema),
  create(config) {
    return (stream: StreamContext) => new GrpcHttp1BridgeFilter(config, stream);
  },
});

class GrpcHttp1BridgeFilter implements HttpFilter {
  readonly #config: Config;
  readonly #stream: StreamContext;
  /** The client speaks HTTP/1 and calls a gRPC method: the outcome goes into its headers. */
  #bridges = false;
  /** Messages come and go without frames. */
  #frames = false;
  #response: Headers | undefined = undefined;

  constructor(config: Config, stream: StreamContext) {
    this.#config = config;
    this.#stream = stream;
  }

  onRequestHeaders(headers: Headers, endStream: boolean): HeadersVerdict {
    if (this.#config.upgradeProtobufToGrpc && headers.has(':path') && headers.get('content-type') === PROTOBUF) {
      this.#frames = true;
      headers.set('content-type', GRPC_CONTENT_TYPE);
      // It is the length of the message without its frame.
      headers.delete('content-length');
      this.#stream.clearRoute();
    }
    this.#bridges = this.#stream.info.protocol.startsWith('HTTP/1') && isGrpcRequest(headers);
    if (!this.#bridges) return Detach;
    if (this.#config.ignoreQueryParameters) {
      const path = headers.get(':path')!;
      const query = path.indexOf('?');
      if (query !== -1) headers.set(':path', path.slice(0, query));
    }
    return this.#frames && !endStream ? CollectBody : Detach;
  }

  onRequestData(body: Buffer): DataVerdict {
    return grpcFrame(body);
  }

  onResponseHeaders(headers: Headers, endStream: boolean): HeadersVerdict {
    if (!this.#bridges || endStream) return Detach;
    this.#response = headers;
    return CollectBody;
  }

  onResponseData(body: Buffer, _endStream: boolean, trailers?: Headers): DataVerdict {
    const headers = this.#response;
    // Without trailers it isn't a complete gRPC response, and stays as it is.
    if (headers === undefined || trailers === undefined) return Continue;
    const message = this.#frames ? body.subarray(FRAME_HEADER_SIZE) : body;
    const status = trailers.get('grpc-status');
    if (status !== undefined) {
      if (!/^\s*\+?0+\s*$/.test(status)) headers.set(':status', '503');
      headers.set('grpc-status', status);
    }
    const text = trailers.get('grpc-message');
    if (text !== undefined) headers.set('grpc-message', text);
    headers.set('content-length', String(message.length));
    return message;
  }
}
