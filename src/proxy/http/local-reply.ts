import type { FormatModel } from '../../config/common-model.ts';
import type { LocalReplyMapperModel, LocalReplyModel } from '../../config/hcm-model.ts';
import { grpcStatusOf } from '../../filters/grpc-status.ts';
import type { FormatContext, TextFormatter } from '../../telemetry/access-log/access-log.ts';
import { compileText } from '../../telemetry/access-log/format.ts';
import { compileJson } from '../../telemetry/access-log/json-format.ts';
import { compileLogFilter, type LogFilter, type LogFilterContext } from '../../telemetry/access-log/log-filter.ts';
import { HeaderMutation } from '../router/header-mutation.ts';
import type { Route } from '../router/route.ts';
import { percentEncode } from '../../filters/grpc-message.ts';
import { HeaderMap } from './headers.ts';
import { INLINE_RESPONSE_HEADERS } from './inline-headers.ts';
import { isGrpc } from './normalize.ts';
import type { RouterLocalReply } from './request-sink.ts';
import type { MutableStreamInfo } from './stream-info.ts';

/** What rendering asks of the stream that it replies on. */
export interface LocalReplyStream {
  readonly info: MutableStreamInfo;
  readonly requestHeaders: HeaderMap;
  readonly route: Route | undefined;
  /** What the client asked for, where filters may have changed the request since; undefined: as the headers say. */
  readonly isGrpcRequest?: boolean | undefined;
}

/** A local reply as it enters the response pass. */
export interface RenderedReply {
  readonly headers: HeaderMap;
  /** One character a byte, as everywhere on the data path; '' = headers only. Not sent in answer to HEAD. */
  readonly body: string;
}

const TEXT = 'text/plain';
const JSON_TYPE = 'application/json';
const NO_TRAILERS = undefined;

/**
 * Renders the replies that the proxy itself makes, in the order of Envoy's prepareLocalReply: the route's header
 * mutations and the reply's own headers, the first mapper of local_reply_config that matches, the body format; then
 * gRPC's form for a gRPC request, else length and type of the body. One for each HCM and worker.
 */
export class LocalReplyRenderer {
  readonly #mappers: readonly Mapper[];
  readonly #format: BodyFormat | undefined;
  readonly #context = new LocalReplyContext();

  constructor(model: LocalReplyModel | undefined, context: LogFilterContext) {
    this.#mappers = (model?.mappers ?? []).map((mapper) => new Mapper(mapper, context));
    this.#format = model?.bodyFormat === undefined ? undefined : new BodyFormat(model.bodyFormat);
  }

  render(reply: RouterLocalReply, stream: LocalReplyStream): RenderedReply {
    const { info, requestHeaders, route } = stream;
    const headers = new HeaderMap();
    headers.status = reply.status;
    const kind = route?.action.kind;
    const toCluster = kind === 'forward' || kind === 'non-forwarding';
    const finalized = route !== undefined && (toCluster || reply.details === 'direct_response');
    // A redirect's location stands before the headers that its route adds, other headers of a reply behind them.
    if (finalized && toCluster) route.finalizeResponse(headers, requestHeaders, info);
    for (const [name, value] of reply.headers ?? []) headers.append(name, value);
    if (finalized && !toCluster) route.finalizeResponse(headers, requestHeaders, info);

    info.responseCode = reply.status;
    let body = reply.body;
    let type = TEXT;
    const givenType = headers.get('content-type');
    const context = this.#context;
    context.reset(info, requestHeaders, headers);
    let format = this.#format;
    for (const mapper of this.#mappers) {
      if (!mapper.matches(context)) continue;
      body = mapper.body ?? body;
      mapper.headers?.apply(headers, context);
      if (mapper.statusCode !== undefined) {
        headers.status = mapper.statusCode;
        info.responseCode = mapper.statusCode;
      }
      format = mapper.format ?? format;
      break;
    }
    if (format !== undefined) {
      context.localReplyBody = body;
      body = format.formatter.format(context);
      type = format.contentType;
    }
    context.clear();

    if (stream.isGrpcRequest ?? isGrpc(requestHeaders)) {
      asGrpc(headers, reply, body, type, requestHeaders.method === 'HEAD');
      return { headers, body: '' };
    }
    if (body === '') {
      headers.delete('content-length');
      headers.delete('content-type');
    } else {
      headers.set('content-length', String(body.length));
      const current = headers.get('content-type');
      // A body that was rewritten has the rewriter's type, unless a mapper named one.
      if (current === undefined || (body !== reply.body && current === givenType)) headers.set('content-type', type);
    }
    return { headers, body };
  }
}

/** A gRPC client gets 200 and the outcome in grpc-status and grpc-message, in headers alone. */
function asGrpc(headers: HeaderMap, reply: RouterLocalReply, body: string, type: string, isHead: boolean): void {
  const code = headers.status;
  headers.status = 200;
  headers.set('content-type', 'application/grpc');
  if (!headers.get('grpc-status')) headers.set('grpc-status', String(reply.grpcStatus ?? grpcStatusOf(code)));
  if (body !== '' && !isHead) {
    const message = type === JSON_TYPE && body.endsWith('\n') ? body.slice(0, -1) : body;
    headers.set('grpc-message', percentEncode(message));
  }
  headers.delete('content-length');
}

class BodyFormat {
  readonly formatter: TextFormatter;
  readonly contentType: string;

  constructor(model: FormatModel) {
    const options = { omitEmptyValues: model.omitEmptyValues };
    this.formatter = model.kind === 'json' ? compileJson(model.format, options) : compileText(model.format, options);
    this.contentType = model.contentType !== '' ? model.contentType : model.kind === 'json' ? JSON_TYPE : TEXT;
  }
}

class Mapper {
  readonly matches: LogFilter;
  readonly statusCode: number | undefined;
  readonly body: string | undefined;
  readonly format: BodyFormat | undefined;
  readonly headers: HeaderMutation | undefined;

  constructor(model: LocalReplyMapperModel, context: LogFilterContext) {
    this.matches = compileLogFilter(model.filter, context);
    this.statusCode = model.statusCode;
    this.body = model.body;
    this.format = model.bodyFormat === undefined ? undefined : new BodyFormat(model.bodyFormat);
    this.headers = HeaderMutation.of({ add: model.headersToAdd, remove: [] }, INLINE_RESPONSE_HEADERS);
  }
}

/** What filters and formats of a local reply look at; one object, filled in for each reply. */
class LocalReplyContext implements FormatContext {
  info: MutableStreamInfo = NONE;
  requestHeaders: HeaderMap | undefined = undefined;
  responseHeaders: HeaderMap | undefined = undefined;
  readonly responseTrailers = NO_TRAILERS;
  localReplyBody = '';
  readonly accessLogType = 'NotSet';

  reset(info: MutableStreamInfo, requestHeaders: HeaderMap, responseHeaders: HeaderMap): void {
    this.info = info;
    this.requestHeaders = requestHeaders;
    this.responseHeaders = responseHeaders;
    this.localReplyBody = '';
  }

  clear(): void {
    this.info = NONE;
    this.requestHeaders = undefined;
    this.responseHeaders = undefined;
  }
}

/** Stands where no stream is; never read. */
const NONE = undefined as unknown as MutableStreamInfo;
