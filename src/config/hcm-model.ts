import type { LogFilterModel } from '../telemetry/access-log/access-log-plan.ts';
import type { Http2OptionsModel } from './cluster-model.ts';
import type { AccessLogModel, FormatModel, HeaderValueOptionModel, TypedConfigModel } from './common-model.ts';
import type { RouteConfigModel } from './route-model.ts';
import type { RouteScopeModel, ScopeKeyFragmentModel } from './scoped-routes-model.ts';

/**
 * What a builder makes of HttpConnectionManager. Filled in by builders/http-connection-manager.ts. Times are in ms and
 * 0 means "never" unless a field says otherwise.
 */
export interface HcmModel {
  readonly codecType: 'auto' | 'http1' | 'http2';
  /** Of `http.<stat_prefix>.` */
  readonly statPrefix: string;
  readonly routes: RouteSourceModel;
  /** Without the router, which is `router`. */
  readonly httpFilters: readonly HttpFilterModel[];
  readonly router: RouterFilterModel;

  readonly serverName: string;
  readonly serverHeaderTransformation: 'overwrite' | 'append-if-absent' | 'pass-through';
  readonly schemeToOverwrite: '' | 'http' | 'https';
  /** `:scheme` is set to what the upstream's transport says instead of the downstream's. */
  readonly schemeMatchUpstream: boolean;
  readonly useRemoteAddress: boolean;
  readonly xffNumTrustedHops: number;
  readonly skipXffAppend: boolean;
  readonly internalAddresses: InternalAddressModel;
  readonly originalIpDetection: readonly OriginalIpDetectionModel[];
  readonly via: string;
  readonly addUserAgent: boolean;
  /** Carried for completeness: where Envoy 1.40 reads it, it changes nothing in x-forwarded-for. */
  readonly representIpv4AsIpv4MappedIpv6: boolean;
  readonly appendXForwardedPort: boolean;
  readonly forwardClientCert: ForwardClientCertModel;

  readonly generateRequestId: boolean;
  readonly preserveExternalRequestId: boolean;
  readonly alwaysSetRequestIdInResponse: boolean;
  readonly requestId: RequestIdModel;

  readonly normalizePath: boolean;
  readonly mergeSlashes: boolean;
  readonly escapedSlashes: 'keep-unchanged' | 'reject-request' | 'unescape-and-redirect' | 'unescape-and-forward';
  readonly stripMatchingHostPort: boolean;
  readonly stripAnyHostPort: boolean;
  readonly stripTrailingHostDot: boolean;
  readonly headersWithUnderscores: 'allow' | 'reject-request' | 'drop-header';

  readonly proxy100Continue: boolean;
  /** An invalid message ends its stream (where framing is known) instead of its connection. */
  readonly streamErrorOnInvalidHttpMessage: boolean;

  readonly requestTimeoutMs: number;
  readonly requestHeadersTimeoutMs: number;
  /** Default 5 min. */
  readonly streamIdleTimeoutMs: number;
  /** Default 5 s: between the drain notice and the closing of an HTTP/2 connection, or of an idle HTTP/1 one. */
  readonly drainTimeoutMs: number;
  /** Default 1 s. */
  readonly delayedCloseTimeoutMs: number;
  /** Of a connection without streams. Default 1 h. */
  readonly idleTimeoutMs: number;
  readonly maxConnectionDurationMs: number;
  readonly maxStreamDurationMs: number;
  /** 0 = no limit. */
  readonly maxRequestsPerConnection: number;
  readonly maxHeadersCount: number;
  readonly maxHeadersBytes: number;
  readonly http1: Http1OptionsModel;
  readonly http2: Http2OptionsModel;

  readonly localReply: LocalReplyModel | undefined;
  readonly accessLogs: readonly AccessLogModel[];
  /** Periodic logs of long streams; 0 = none. */
  readonly accessLogFlushIntervalMs: number;
  readonly flushAccessLogOnNewRequest: boolean;
  readonly flushAccessLogOnTunnelEstablished: boolean;
  readonly upgrades: readonly UpgradeModel[];
}

/** Where the routes come from: part of the listener, named and delivered apart (RDS), or chosen by a key (SRDS). */
export type RouteSourceModel =
  | { readonly kind: 'inline'; readonly routeConfig: RouteConfigModel }
  | { readonly kind: 'rds'; readonly routeConfigName: string }
  | {
      readonly kind: 'scoped';
      readonly key: readonly ScopeKeyFragmentModel[];
      /** The scopes themselves, or the name of the ScopedRoutesModel that has them. */
      readonly scopes: readonly RouteScopeModel[] | string;
    };

/** One entry of `http_filters`. */
export interface HttpFilterModel {
  /** The name that `typed_per_filter_config` refers to. */
  readonly name: string;
  readonly config: TypedConfigModel;
  /** Off unless a route's `typed_per_filter_config` turns it on. */
  readonly disabled: boolean;
  /** `config` is delivered apart: another one is for the streams that begin then, on whatever connection. */
  readonly isDiscovered?: boolean;
}

/** extensions.filters.http.router.v3.Router, the end of every HTTP filter chain. */
export interface RouterFilterModel {
  readonly name: string;
  readonly dynamicStats: boolean;
  readonly suppressEnvoyHeaders: boolean;
  readonly respectExpectedRqTimeout: boolean;
  readonly suppressGrpcRequestFailureCodeStats: boolean;
  readonly strictCheckHeaders: readonly string[];
  readonly upstreamAccessLogs: readonly AccessLogModel[];
}

/** Which peers are internal: `cidrRanges` as `address/length`. */
export interface InternalAddressModel {
  readonly unixSockets: boolean;
  readonly cidrRanges: readonly string[];
}

export type OriginalIpDetectionModel =
  | {
      readonly kind: 'xff';
      readonly numTrustedHops: number;
      /** Walk the header from the right past these (`address/length`); undefined: use `numTrustedHops`. */
      readonly trustedCidrs: readonly string[] | undefined;
      /** Of the trusted-CIDR mode: the peer's address isn't appended to x-forwarded-for. */
      readonly skipXffAppend: boolean;
    }
  | {
      readonly kind: 'custom-header';
      readonly headerName: string;
      /** A request without a usable address is answered with this status; undefined: it goes on. */
      readonly rejectStatus: number | undefined;
      readonly allowExtensionToSetAddressAsTrusted: boolean;
    };

export interface ForwardClientCertModel {
  readonly mode: 'sanitize' | 'forward-only' | 'append-forward' | 'sanitize-set' | 'always-forward-only';
  readonly subject: boolean;
  readonly cert: boolean;
  readonly chain: boolean;
  readonly dns: boolean;
  readonly uri: boolean;
}

/** extensions.request_id.uuid.v3.UuidRequestIdConfig. */
export interface RequestIdModel {
  readonly packTraceReason: boolean;
  readonly useForTraceSampling: boolean;
}

/** core.v3.Http1ProtocolOptions with what the HCM adds, without the limits. Same meaning as in codec.ts. */
export interface Http1OptionsModel {
  readonly acceptHttp10: boolean;
  readonly defaultHostForHttp10: string;
  readonly allowAbsoluteUrl: boolean;
  readonly enableTrailers: boolean;
  readonly allowChunkedLength: boolean;
  readonly allowCustomMethods: boolean;
  readonly headerCase: 'lower' | 'proper' | 'preserve';
  readonly forwardReasonPhrase: boolean;
  /** As configured, else the HCM's `streamErrorOnInvalidHttpMessage`. */
  readonly overrideStreamErrorOnInvalidHttpMessage: boolean;
}

/** LocalReplyConfig. The first mapper whose filter matches applies. */
export interface LocalReplyModel {
  readonly mappers: readonly LocalReplyMapperModel[];
  /** Of replies that no mapper's own format covers. */
  readonly bodyFormat: FormatModel | undefined;
}

export interface LocalReplyMapperModel {
  readonly filter: LogFilterModel;
  readonly statusCode: number | undefined;
  /** Replaces the body before it is formatted; one character a byte. */
  readonly body: string | undefined;
  readonly bodyFormat: FormatModel | undefined;
  readonly headersToAdd: readonly HeaderValueOptionModel[];
}

export interface UpgradeModel {
  /** As configured; compared without case. `CONNECT` is the method. */
  readonly type: string;
  readonly enabled: boolean;
  /** Undefined: the HCM's own HTTP filters. */
  readonly filters: readonly HttpFilterModel[] | undefined;
}
