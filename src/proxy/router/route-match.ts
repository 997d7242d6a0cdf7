import type { RuntimeFractionModel } from '../../config/common-model.ts';
import type { RouteMatchModel, TlsContextMatchModel } from '../../config/route-model.ts';
import type { RuntimeReader } from '../../filters/http/filter.ts';
import type { StreamInfo } from '../../filters/stream-info.ts';
import { compileRegex } from '../../lib/regex.ts';
import { compileUriTemplate } from '../../lib/uri-template.ts';
import { wireText } from '../../lib/wire-text.ts';
import type { HeaderMap } from '../http/headers.ts';
import { HeaderMatcher, matchesAll } from './matchers/header-matcher.ts';
import { MetadataMatcher } from './matchers/metadata-matcher.ts';
import { QueryParameterMatcher } from '../../filters/query-parameter-matcher.ts';

/** Where a route belongs in the index, and what is left to check once the index names it. */
export interface RoutePath {
  readonly kind: 'exact' | 'prefix' | 'separated' | 'connect';
  readonly text: string;
  readonly foldCase: boolean;
  /** For what the index can't decide: gets the path without query and fragment. */
  readonly pattern: { matches(path: string): boolean } | undefined;
  /** A uri_template: path parameters (`;...`) belong to its path even where routes ignore them. */
  readonly keepsParameters: boolean;
}

export function compileRoutePath(model: RouteMatchModel): RoutePath {
  const { path } = model;
  const foldCase = !model.caseSensitive;
  switch (path.kind) {
    case 'path':
      return { kind: 'exact', text: wireText(path.value), foldCase, pattern: undefined, keepsParameters: false };
    case 'prefix':
      return { kind: 'prefix', text: wireText(path.value), foldCase, pattern: undefined, keepsParameters: false };
    case 'path-separated-prefix':
      return { kind: 'separated', text: wireText(path.value), foldCase, pattern: undefined, keepsParameters: false };
    case 'regex': {
      const pattern = compileRegex(path.value);
      return { kind: 'prefix', text: pattern.literalPrefix, foldCase: false, pattern, keepsParameters: false };
    }
    case 'uri-template': {
      const pattern = compileUriTemplate(path.value);
      return { kind: 'prefix', text: pattern.literalPrefix, foldCase: false, pattern, keepsParameters: true };
    }
    case 'connect':
      return { kind: 'connect', text: '', foldCase: false, pattern: undefined, keepsParameters: false };
  }
}

/** What a route asks of a request besides its path. All of it has to hold. */
export class RouteConditions {
  readonly #runtime: RuntimeReader;
  readonly #fraction: RuntimeFractionModel | undefined;
  readonly #grpc: boolean;
  readonly #headers: readonly HeaderMatcher[];
  readonly #query: readonly QueryParameterMatcher[];
  readonly #tls: TlsContextMatchModel | undefined;
  readonly #metadata: readonly MetadataMatcher[];

  private constructor(model: RouteMatchModel, runtime: RuntimeReader) {
    this.#runtime = runtime;
    this.#fraction = model.runtimeFraction;
    this.#grpc = model.grpc;
    this.#headers = model.headers.map((header) => new HeaderMatcher(header));
    this.#query = model.queryParameters.map((parameter) => new QueryParameterMatcher(parameter));
    this.#tls = model.tlsContext;
    this.#metadata = model.dynamicMetadata.map((matcher) => new MetadataMatcher(matcher));
  }

  /** Undefined: the route asks for nothing but its path. */
  static of(model: RouteMatchModel, runtime: RuntimeReader): RouteConditions | undefined {
    const none =
      model.runtimeFraction === undefined &&
      !model.grpc &&
      model.headers.length === 0 &&
      model.queryParameters.length === 0 &&
      model.tlsContext === undefined &&
      model.dynamicMetadata.length === 0;
    return none ? undefined : new RouteConditions(model, runtime);
  }

  matches(headers: HeaderMap, info: StreamInfo, randomValue: number): boolean {
    const fraction = this.#fraction;
    if (fraction !== undefined && !this.#runtime.featureEnabled(fraction.runtimeKey, fraction, randomValue))
      return false;
    if (this.#grpc && !isGrpcRequest(headers)) return false;
    if (!matchesAll(this.#headers, headers)) return false;
    const query = this.#query;
    for (let i = 0; i < query.length; i++) if (!query[i]!.matches(headers.path)) return false;
    if (this.#tls !== undefined && !matchesTls(this.#tls, info)) return false;
    const metadata = this.#metadata;
    for (let i = 0; i < metadata.length; i++) if (!metadata[i]!.matches(info.dynamicMetadata)) return false;
    return true;
  }
}

const GRPC = 'application/grpc';

/** Content type `application/grpc`, alone or with a `+suffix`. */
export function isGrpcRequest(headers: HeaderMap): boolean {
  const type = headers.get('content-type');
  return type !== undefined && type.startsWith(GRPC) && (type.length === GRPC.length || type[GRPC.length] === '+');
}

/** CONNECT, plain or of RFC 9298; upgrades that HTTP/2 carries as extended CONNECT are no CONNECT requests. */
export function isConnectRequest(headers: HeaderMap): boolean {
  const { protocol } = headers;
  if (protocol === 'connect-udp') return true;
  return headers.method === 'CONNECT' && (protocol === '' || protocol === 'bytestream');
}

function matchesTls(model: TlsContextMatchModel, info: StreamInfo): boolean {
  const { tls } = info.connection;
  if (model.presented !== undefined && model.presented !== (tls?.peerPresented ?? false)) return false;
  return model.validated === undefined || model.validated === (tls?.peerValidated ?? false);
}
