import type { HcmModel } from '../../config/hcm-model.ts';
import { HTTP1_CODEC_STATS, HTTP_STATS } from '../../telemetry/stats/http-stats.ts';
import type { StatBlock } from '../../telemetry/stats/stats.ts';
import { PROXY_ERRORS, type ProxyErrorEntry } from '../proxy-error.ts';
import type { WorkerContext } from '../worker-context.ts';
import type { HeaderMap } from './headers.ts';
import { localHostAddress } from './local-address.ts';
import { normalizeHost } from './normalize-host.ts';
import { normalizeRequestPath, unescapeSlashes } from './normalize-path.ts';
import { RequestHeaders } from './request-headers.ts';
import { UuidSource } from './request-id.ts';
import type { RouterLocalReply } from './request-sink.ts';
import { ResponseHeaders } from './response-headers.ts';
import type { MutableStreamInfo } from './stream-info.ts';

const AT = HTTP_STATS.at;
const AT1 = HTTP1_CODEC_STATS.at;

/**
 * Everything that an HCM does to the headers of requests and responses apart from routing and filters, in Envoy's
 * order. One for each HCM config and worker; synchronous, so it can tell facts of the last request in a field.
 */
export class HeaderNormalizer {
  readonly #model: HcmModel;
  readonly #stats: StatBlock;
  readonly #http1Stats: StatBlock;
  readonly #requests: RequestHeaders;
  readonly #responses: ResponseHeaders;
  readonly #normalizesHost: boolean;

  /** `stats` is `http.<stat_prefix>.` (HTTP_STATS). */
  constructor(model: HcmModel, worker: WorkerContext, stats: StatBlock, localAddress = localHostAddress()) {
    this.#model = model;
    this.#stats = stats;
    this.#http1Stats = worker.stats.scope('http1.').block(HTTP1_CODEC_STATS);
    this.#requests = new RequestHeaders(model, worker.node, new UuidSource(worker.random), localAddress);
    this.#responses = new ResponseHeaders(model, worker.dispatcher);
    this.#normalizesHost = model.stripAnyHostPort || model.stripMatchingHostPort || model.stripTrailingHostDot;
  }

  /** Of the last `request()`: it came from the internal networks (x-envoy-internal). */
  get internal(): boolean {
    return this.#requests.internal;
  }

  /**
   * Normalises the headers of a new request (that has passed `checkFields`) in place and finds the client's address. Undefined: the request goes on;
   * else it is answered with what is returned. `internalOnlyHeaders` are the route configuration's.
   */
  request(
    headers: HeaderMap,
    info: MutableStreamInfo,
    internalOnlyHeaders: readonly string[] = [],
  ): RouterLocalReply | undefined {
    this.#requests.internal = false;
    const refusal = this.target(headers, info.connection.localPort);
    if (refusal !== undefined) return refusal;
    const status = this.#requests.mutate(headers, info, internalOnlyHeaders);
    if (status === 0) return undefined;
    this.#stats.inc(AT.downstream_rq_rejected_via_ip_detection);
    return { ...PROXY_ERRORS.originalIpDetectionFailed, status };
  }

  /** Names with underscores, which Envoy's codec looks at before anything else does. */
  checkFields(headers: HeaderMap): RouterLocalReply | undefined {
    if (this.#model.headersWithUnderscores === 'allow') return undefined;
    for (let i = headers.names.length - 1; i >= 0; i--) {
      if (!headers.names[i]!.includes('_')) continue;
      if (this.#model.headersWithUnderscores === 'reject-request') {
        this.#http1Stats.inc(AT1.requests_rejected_with_underscores_in_headers);
        return PROXY_ERRORS.unexpectedUnderscore;
      }
      headers.removeAt(i);
      this.#http1Stats.inc(AT1.dropped_headers_with_underscores);
    }
    return undefined;
  }

  /** Host and path alone: also for a request that we made ourselves out of an internal redirect. */
  target(headers: HeaderMap, localPort: number): RouterLocalReply | undefined {
    if (headers.authority === '') return PROXY_ERRORS.missingHost;
    const { path } = headers;
    if (path !== '') {
      if (path.charCodeAt(0) !== 0x2f) {
        this.#stats.inc(AT.downstream_rq_non_relative_path);
        return PROXY_ERRORS.absolutePath;
      }
      const normalized = normalizeRequestPath(path, this.#model);
      if (normalized === undefined) {
        // Logged as it was looked at.
        if (this.#model.escapedSlashes === 'reject-request') headers.path = unescapePath(path);
        return this.#refusePath();
      }
      if (typeof normalized === 'string') headers.path = normalized;
      // gRPC clients follow no redirect.
      else if (isGrpc(headers)) return this.#refusePath();
      else {
        this.#stats.inc(AT.downstream_rq_redirected_with_normalized_path);
        headers.path = normalized.path;
        return redirectTo(normalized.path);
      }
    } else if (headers.method !== 'CONNECT') return PROXY_ERRORS.missingPath;
    if (this.#normalizesHost) headers.authority = normalizeHost(headers.authority, localPort, this.#model);
    return undefined;
  }

  /** The last changes to response headers. `close`: the connection ends after this response. */
  response(headers: HeaderMap, requestHeaders: HeaderMap, close: boolean): void {
    this.#responses.mutate(headers, requestHeaders, close);
  }

  #refusePath(): ProxyErrorEntry {
    this.#stats.inc(AT.downstream_rq_failed_path_normalization);
    return PROXY_ERRORS.pathNormalizationFailed;
  }
}

function redirectTo(location: string): RouterLocalReply {
  return { ...PROXY_ERRORS.pathNormalizationFailed, status: 307, headers: [['location', location]] };
}

/** The path part of a request target without escaped slashes; its query as it was. */
function unescapePath(target: string): string {
  const query = target.indexOf('?');
  return query === -1 ? unescapeSlashes(target) : unescapeSlashes(target.slice(0, query)) + target.slice(query);
}

/** Whether the content type is gRPC's (`application/grpc`, with a suffix `+proto`, or parameters). */
export function isGrpc(headers: HeaderMap): boolean {
  const type = headers.get('content-type');
  if (type === undefined || !type.startsWith('application/grpc')) return false;
  return type.length === 16 || type.charCodeAt(16) === 0x2b || type.charCodeAt(16) === 0x3b;
}
