import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import {
  GrpcJsonTranscoderSchema,
  type GrpcJsonTranscoder,
} from '../../api/generated/envoy/extensions/filters/http/grpc_json_transcoder/v3/transcoder_pb.js';
import { ConfigError, protobufConfig } from '../config-type.ts';
import { GRPC_CONTENT_TYPE, isGrpcRequest, isGrpcResponse } from '../grpc-call.ts';
import { FRAME_HEADER_SIZE, FrameSplitter } from '../grpc-frames.ts';
import { httpStatusOf } from '../grpc-status.ts';
import type { Headers } from '../headers.ts';
import {
  CollectBody,
  Continue,
  Detach,
  defineHttpFilter,
  type DataVerdict,
  type HeadersVerdict,
  type HttpFilter,
  type HttpFilterType,
  type LocalReply,
  type StreamContext,
  type TrailersVerdict,
} from './filter.ts';
import { JsonSplitter } from './grpc-json-transcoder/json-splitter.ts';
import type { MethodCall } from './grpc-json-transcoder/method-table.ts';
import { RequestEncoder } from './grpc-json-transcoder/request-encoder.ts';
import { TranscodingError } from './grpc-json-transcoder/request-weaver.ts';
import { httpBodyOf, statusJson } from './grpc-json-transcoder/response-body.ts';
import { Transcoding } from './grpc-json-transcoder/transcoding.ts';

const JSON_TYPE = 'application/json';
const FAILED = 'grpc_json_transcode_failure';
const FAILED_EARLY = 'early_grpc_json_transcode_failure';

/**
 * envoy.filters.http.grpc_json_transcoder: gRPC services for clients that speak JSON over HTTP, by the google.api.http
 * annotations of the services. Each registry makes its own type, which remembers the descriptors that it read.
 */
export function createGrpcJsonTranscoder(): HttpFilterType<GrpcJsonTranscoder, Transcoding, GrpcJsonTranscoder> {
  const descriptors = new WeakMap<GrpcJsonTranscoder, Uint8Array>();
  return defineHttpFilter<GrpcJsonTranscoder, Transcoding, GrpcJsonTranscoder>({
    name: 'envoy.filters.http.grpc_json_transcoder',
    config: protobufConfig(GrpcJsonTranscoderSchema),
    routeConfig: protobufConfig(GrpcJsonTranscoderSchema),
    async prepare(config) {
      const { descriptorSet } = config;
      if (descriptorSet.case === 'protoDescriptor')
        descriptors.set(config, await readFile(descriptorSet.value).catch(unreadable));
    },
    create(config) {
      const own = new Transcoding(config, descriptors.get(config) ?? descriptorsOf(config));
      return (stream: StreamContext<Transcoding>) => {
        const transcoding = stream.routeConfig ?? own;
        return transcoding.table === undefined ? undefined : new TranscoderFilter(transcoding, own, stream);
      };
    },
    // Read once a config: routes aren't prepared.
    compileRoute: (config) => new Transcoding(config, descriptorsOf(config)),
  });
}

function descriptorsOf({ descriptorSet, services }: GrpcJsonTranscoder): Uint8Array {
  if (descriptorSet.case === 'protoDescriptorBin') return descriptorSet.value;
  if (descriptorSet.case === undefined || services.length === 0) return new Uint8Array();
  try {
    return readFileSync(descriptorSet.value);
  } catch (error) {
    return unreadable(error);
  }
}

function unreadable(error: unknown): never {
  throw new ConfigError(error instanceof Error ? error.message : String(error), 'proto_descriptor');
}

class TranscoderFilter implements HttpFilter {
  readonly #transcoding: Transcoding;
  /** The filter's own config: what it says of requests to be rejected counts on every route, as in Envoy. */
  readonly #own: Transcoding;
  readonly #stream: StreamContext<Transcoding>;
  #call: MethodCall | undefined = undefined;
  #encoder: RequestEncoder | undefined = undefined;
  /** Of a client that streams: its JSON array. */
  #splitter: JsonSplitter | undefined = undefined;
  #chunks: Buffer[] = [];
  #held = 0;
  #response: Headers | undefined = undefined;
  readonly #frames = new FrameSplitter();
  #responseMessages = 0;

  constructor(transcoding: Transcoding, own: Transcoding, stream: StreamContext<Transcoding>) {
    this.#transcoding = transcoding;
    this.#own = own;
    this.#stream = stream;
  }

  onRequestHeaders(headers: Headers, endStream: boolean): HeadersVerdict {
    const path = headers.get(':path');
    if (path === undefined || isGrpcRequest(headers)) return Detach;
    const call = this.#transcoding.table!.find(headers.get(':method') ?? '', path);
    if ('code' in call) {
      const reject = call.code === 'NOT_FOUND' ? this.#own.rejectsUnknownMethods : this.#own.rejectsUnknownParameters;
      if (!reject) return Detach;
      const status = call.code === 'NOT_FOUND' ? 404 : 400;
      return { status, body: call.message, details: `${FAILED_EARLY}{${call.code}}` };
    }
    this.#call = call;
    const { method } = call.rule;
    this.#encoder = new RequestEncoder(call, this.#transcoding, headers.get('content-type') ?? '');
    if (method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming') {
      if (!call.rule.requestIsHttpBody) this.#splitter = new JsonSplitter();
    }

    headers.delete('content-length');
    headers.set('content-type', GRPC_CONTENT_TYPE);
    headers.set('x-envoy-original-path', path);
    headers.append('x-envoy-original-method', headers.get(':method') ?? '');
    headers.set(':path', `/${method.parent.typeName}/${method.name}`);
    headers.set(':method', 'POST');
    headers.set('te', 'trailers');
    if (!this.#transcoding.keepsRoute) this.#stream.clearRoute();
    return endStream ? this.#encode(Buffer.alloc(0), true, FAILED_EARLY) : Continue;
  }

  onRequestData(chunk: Buffer, endStream: boolean): DataVerdict {
    if (this.#call === undefined) return Continue;
    return this.#encode(chunk, endStream, FAILED);
  }

  onRequestTrailers(): TrailersVerdict {
    if (this.#call === undefined) return Continue;
    const last = this.#encode(Buffer.alloc(0), true, FAILED);
    return Buffer.isBuffer(last) ? { lastData: last } : last;
  }

  /** The frames of the messages that `chunk` completes. */
  #encode(chunk: Buffer, end: boolean, details: string): Buffer | LocalReply {
    const encoder = this.#encoder!;
    const limit = this.#transcoding.maxRequestBytes ?? this.#stream.bufferLimit;
    try {
      if (this.#splitter !== undefined) {
        const frames = this.#splitter.push(chunk, end).map((text) => encoder.message(text));
        return limit > 0 && this.#splitter.pending > limit ? tooLarge('request') : Buffer.concat(frames);
      }
      if (encoder.isStreamOfBodies) return chunk.length > 0 || encoder.isFirst ? encoder.httpBody(chunk) : EMPTY;
      this.#held += chunk.length;
      if (limit > 0 && this.#held > limit) return tooLarge('request');
      this.#chunks.push(chunk);
      if (!end) return EMPTY;
      const body = Buffer.concat(this.#chunks.splice(0));
      return this.#call!.rule.requestIsHttpBody ? encoder.httpBody(body) : encoder.message(body.toString('utf8'));
    } catch (error) {
      if (!(error instanceof TranscodingError)) throw error;
      return { status: 400, body: error.message, details: `${details}{INVALID_ARGUMENT}` };
    }
  }

  onResponseHeaders(headers: Headers, endStream: boolean): HeadersVerdict {
    if (this.#call === undefined || !isGrpcResponse(headers, endStream)) {
      this.#call = undefined;
      return Detach;
    }
    this.#response = headers;
    if (endStream) return this.#trailersOnly(headers);
    headers.set('content-type', JSON_TYPE);
    return this.#isStream && !this.#call.rule.responseIsHttpBody ? Continue : CollectBody;
  }

  get #isStream(): boolean {
    const kind = this.#call?.rule.method.methodKind;
    return kind === 'server_streaming' || kind === 'bidi_streaming';
  }

  #trailersOnly(headers: Headers): HeadersVerdict {
    const status = grpcStatusIn(headers);
    const json = this.#convertedStatus(status, headers);
    if (json !== undefined) {
      headers.set(':status', String(httpStatusOf(status!)));
      for (const name of ['grpc-status', 'grpc-message', 'grpc-status-details-bin']) headers.delete(name);
      headers.set('content-type', JSON_TYPE);
      headers.set('content-length', String(json.length));
      return json;
    }
    headers.set(':status', String(status === undefined ? 503 : httpStatusOf(status)));
    if (!this.#isStream) {
      headers.set('content-length', '0');
      return Continue;
    }
    headers.set('content-type', JSON_TYPE);
    if (this.#transcoding.printer!.lines) return Continue;
    headers.delete('content-length');
    return Buffer.from('[]');
  }

  onResponseData(chunk: Buffer, endStream: boolean, trailers?: Headers): DataVerdict {
    if (this.#call === undefined) return Continue;
    try {
      if (this.#call.rule.responseIsHttpBody) return this.#httpBodies(chunk, trailers);
      return this.#isStream ? this.#streamed(chunk, endStream) : this.#unary(chunk, trailers);
    } catch (error) {
      this.#call = undefined;
      const body = error instanceof Error ? error.message : String(error);
      return { status: 502, body, details: `${FAILED}{INTERNAL}` };
    }
  }

  /** The messages of a stream are the elements of an array, or a line each. */
  #streamed(chunk: Buffer, end: boolean): DataVerdict {
    const { lines } = this.#transcoding.printer!;
    let text = '';
    for (const frame of this.#frames.push(chunk)) {
      const json = this.#print(frame);
      if (lines) text += `${json}\n`;
      else text += this.#responseMessages++ === 0 ? `[${json}` : `,${json}`;
    }
    if (end) text += this.#endOfStream();
    const limit = this.#transcoding.maxResponseBytes ?? this.#stream.bufferLimit;
    if (limit > 0 && this.#frames.pending > limit) return tooLarge('response');
    return Buffer.from(text, 'utf8');
  }

  #endOfStream(): string {
    if (this.#transcoding.printer!.lines) return '';
    return this.#responseMessages === 0 ? '[]' : ']';
  }

  #unary(body: Buffer, trailers: Headers | undefined): DataVerdict {
    const limit = this.#transcoding.maxResponseBytes;
    if (limit !== undefined && body.length > limit) return tooLarge('response');
    const frames = this.#frames.push(body);
    let json: Buffer = Buffer.from(frames.map((frame) => this.#print(frame)).join(''), 'utf8');
    // Without trailers it isn't a complete response; what there is goes on.
    if (trailers === undefined) return json;
    const headers = this.#response!;
    const status = grpcStatusIn(trailers);
    const converted = body.length === 0 ? this.#convertedStatus(status, trailers) : undefined;
    if (converted === undefined) this.#setOutcome(status, trailers);
    else {
      json = converted;
      headers.set(':status', String(httpStatusOf(status!)));
    }
    headers.set('content-length', String(json.length));
    return json;
  }

  /** The outcome of the call as the status of the response. */
  #setOutcome(status: number | undefined, trailers: Headers): void {
    const headers = this.#response!;
    headers.set(':status', String(status === undefined ? 503 : httpStatusOf(status)));
    if (status !== undefined) headers.set('grpc-status', String(status));
    const message = trailers.get('grpc-message');
    if (message !== undefined) headers.set('grpc-message', message);
    if (this.#stream.info.protocol.startsWith('HTTP/1')) headers.delete('trailer');
  }

  #httpBodies(body: Buffer, trailers: Headers | undefined): DataVerdict {
    const { rule } = this.#call!;
    const headers = this.#response!;
    const bodies = this.#frames.push(body).map((frame) => httpBodyOf(rule, frame.subarray(FRAME_HEADER_SIZE)));
    const first = bodies[0];
    if (first !== undefined) headers.set('content-type', first.contentType);
    const data = Buffer.concat(
      this.#isStream ? bodies.map((each) => each.data) : bodies.slice(0, 1).map((each) => each.data),
    );
    if (this.#isStream) return data;
    headers.set('content-length', String(data.length));
    if (trailers !== undefined) this.#setOutcome(grpcStatusIn(trailers), trailers);
    return data;
  }

  onResponseTrailers(trailers: Headers): TrailersVerdict {
    if (this.#call === undefined || !this.#isStream || this.#call.rule.responseIsHttpBody) return Continue;
    void trailers;
    return { lastData: Buffer.from(this.#endOfStream()) };
  }

  /** What `convert_grpc_status` makes of a failed call without a body; undefined: nothing. */
  #convertedStatus(status: number | undefined, from: Headers): Buffer | undefined {
    if (!this.#transcoding.convertsStatus || status === undefined || status === 0) return undefined;
    return statusJson(this.#transcoding, status, from);
  }

  #print(frame: Buffer): string {
    if (frame[0] !== 0) throw new TranscodingError('compressed messages cannot be transcoded');
    return this.#transcoding.printer!.print(this.#call!.rule.method.output, frame.subarray(FRAME_HEADER_SIZE));
  }
}

const EMPTY = Buffer.alloc(0);

/** Undefined: there is none, or it is no number. */
function grpcStatusIn(headers: Headers): number | undefined {
  const text = headers.get('grpc-status');
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

function tooLarge(what: 'request' | 'response'): LocalReply {
  const limit = "because the transcoder's internal buffer size exceeds the configured limit.";
  return what === 'request'
    ? { status: 413, body: `Request rejected ${limit}`, details: `${FAILED}{request_buffer_size_limit_reached}` }
    : {
        status: 500,
        body: `Response not transcoded ${limit}`,
        details: `${FAILED}{response_buffer_size_limit_reached}`,
      };
}
