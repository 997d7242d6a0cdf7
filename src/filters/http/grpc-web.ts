import { GrpcWebSchema } from '../../api/generated/envoy/extensions/filters/http/grpc_web/v3/grpc_web_pb.js';
import { protobufConfig } from '../config-type.ts';
import { GRPC_CONTENT_TYPE, isGrpcResponse, methodCalled } from '../grpc-call.ts';
import { GrpcCharges } from '../grpc-charges.ts';
import { FrameSplitter, grpcFrame } from '../grpc-frames.ts';
import { percentEncode } from '../grpc-message.ts';
import { grpcStatusOf } from '../grpc-status.ts';
import type { Headers } from '../headers.ts';
import {
  CollectBody,
  Continue,
  Detach,
  defineHttpFilter,
  type DataVerdict,
  type FactoryContext,
  type HeadersVerdict,
  type HttpFilter,
  type LocalReply,
  type StreamContext,
  type TrailersVerdict,
} from './filter.ts';

const BINARY = 'application/grpc-web';
const BINARY_PROTO = 'application/grpc-web+proto';
const TEXT = 'application/grpc-web-text';
const TEXT_PROTO = 'application/grpc-web-text+proto';
/** The flag of the frame that holds the trailers. */
const TRAILERS = 0x80;
/** So much of a body that isn't gRPC becomes a grpc-message, unless it came in one piece. */
const MAX_MESSAGE = 16 * 1024;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** envoy.filters.http.grpc_web: lets browsers speak gRPC-Web to gRPC services. */
export const grpcWeb = defineHttpFilter({
  name: 'envoy.filters.http.grpc_web',
  config: protobufConfig(GrpcWebSchema),
  create(_config, context) {
    return (stream: StreamContext) => new GrpcWebFilter(context, stream);
  },
});

class GrpcWebFilter implements HttpFilter {
  readonly #context: FactoryContext;
  readonly #stream: StreamContext;
  #isGrpcWeb = false;
  #isTextRequest = false;
  #isTextResponse = false;
  /** Less than four characters of a request in base64. */
  #held = '';
  #charges: GrpcCharges | undefined = undefined;
  /** Frames of a response to be encoded in base64. */
  readonly #frames = new FrameSplitter();
  /** Headers of a response that is no gRPC: its body becomes their message. */
  #foreign: Headers | undefined = undefined;

  constructor(context: FactoryContext, stream: StreamContext) {
    this.#context = context;
    this.#stream = stream;
  }

  onRequestHeaders(headers: Headers): HeadersVerdict {
    const type = headers.get('content-type');
    if (!headers.has(':path') || (type !== BINARY && type !== BINARY_PROTO && type !== TEXT && type !== TEXT_PROTO))
      return Detach;
    this.#isGrpcWeb = true;
    this.#isTextRequest = type === TEXT || type === TEXT_PROTO;
    // It is the length of what is encoded.
    headers.delete('content-length');
    this.#setUpCharges(headers);
    headers.set('content-type', GRPC_CONTENT_TYPE);
    const accept = headers.get('accept');
    this.#isTextResponse = accept === TEXT || accept === TEXT_PROTO;
    headers.set('te', 'trailers');
    if (!headers.has('grpc-accept-encoding')) headers.set('grpc-accept-encoding', 'identity');
    return this.#isTextRequest ? Continue : Detach;
  }

  #setUpCharges(headers: Headers): void {
    const cluster = this.#stream.info.upstreamClusterObservable;
    const called = methodCalled(headers.get(':path'));
    if (cluster !== '' && called !== undefined)
      this.#charges = new GrpcCharges(
        this.#context.rootStats,
        cluster,
        'grpc-web',
        `${called.service}.${called.method}`,
      );
  }

  /** Base64 of the text variants; padding may come at the end of each message. */
  onRequestData(chunk: Buffer, endStream: boolean): DataVerdict {
    const text = this.#held + chunk.toString('latin1');
    if (endStream && text.length % 4 !== 0) return badRequest('grpc_base_64_decode_failed_bad_size');
    const size = text.length - (text.length % 4);
    this.#held = text.slice(size);
    if (size === 0) return Buffer.alloc(0);
    return decodeBase64(text.slice(0, size)) ?? badRequest('grpc_base_64_decode_failed');
  }

  onResponseHeaders(headers: Headers, endStream: boolean): HeadersVerdict {
    if (!this.#isGrpcWeb) return Detach;
    this.#charges?.status(headers.get('grpc-status'));
    const foreign = !isGrpcResponse(headers, endStream) && !isGrpcWebResponse(headers);
    headers.delete('content-length');
    headers.set('content-type', this.#isTextResponse ? TEXT_PROTO : BINARY_PROTO);
    if (endStream || !foreign) return Continue;
    this.#foreign = headers;
    return CollectBody;
  }

  onResponseData(chunk: Buffer, endStream: boolean, trailers?: Headers): DataVerdict {
    if (this.#foreign !== undefined) {
      this.#explain(this.#foreign, chunk);
      // The headers say it all; what follows them stays as it is.
      return Buffer.alloc(0);
    }
    void [endStream, trailers];
    if (!this.#isTextResponse) return Continue;
    const frames = this.#frames.push(chunk);
    return Buffer.from(frames.map((frame) => frame.toString('base64')).join(''), 'latin1');
  }

  onResponseTrailers(trailers: Headers): TrailersVerdict {
    if (!this.#isGrpcWeb) return Continue;
    this.#charges?.status(trailers.get('grpc-status'));
    if (this.#foreign !== undefined) return Continue;
    let text = '';
    for (const [name, value] of trailers.entries()) text += `${name}:${value}\r\n`;
    const frame = grpcFrame(Buffer.from(text, 'latin1'), TRAILERS);
    return this.#isTextResponse ? Buffer.from(frame.toString('base64'), 'latin1') : frame;
  }

  /** A response that is no gRPC: its status and its body as a gRPC outcome. */
  #explain(headers: Headers, body: Buffer): void {
    headers.set('grpc-message', percentEncode(body.toString('latin1', 0, MAX_MESSAGE)));
    headers.set('grpc-status', String(grpcStatusOf(Number(headers.get(':status')))));
    headers.set('content-length', '0');
  }
}

/** A response that speaks gRPC-Web already. */
function isGrpcWebResponse(headers: Headers): boolean {
  if (headers.get(':status') !== '200') return false;
  const type = headers.get('content-type')?.split(';')[0]!.trimEnd().toLowerCase();
  return type === BINARY || type === BINARY_PROTO;
}

/** Undefined: it isn't base64. Strict about characters and padding, as Envoy. */
function decodeBase64(text: string): Buffer | undefined {
  if (!BASE64.test(text)) return undefined;
  const decoded = Buffer.from(text, 'base64');
  // Bits behind the last byte have to be zero.
  if (decoded.length === 0 || decoded.toString('base64') !== text) return undefined;
  return decoded;
}

function badRequest(details: string): LocalReply {
  return { status: 400, body: 'Bad gRPC-web request, invalid base64 data.', details };
}
