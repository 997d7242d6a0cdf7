import type { HeaderMatch } from '../filters/header-matcher.ts';
import type { QueryParameterMatch } from '../filters/query-parameter-matcher.ts';
import type { RateLimit } from '../filters/rate-limit-policy.ts';
import type { Metadata } from '../filters/stream-info.ts';
import type {
  HeaderMutationModel,
  RuntimeFractionModel,
  StringMatcherModel,
  TypedConfigModel,
} from './common-model.ts';

/** What a builder makes of envoy.config.route.v3.RouteConfiguration. Times in ms, sizes in bytes. */
export interface RouteConfigModel {
  readonly name: string;
  readonly virtualHosts: readonly VirtualHostModel[];
  /** Lower-case names, removed from requests that come from outside. */
  readonly internalOnlyHeaders: readonly string[];
  readonly requestHeaders: HeaderMutationModel;
  readonly responseHeaders: HeaderMutationModel;
  /** False: weighted cluster, route, virtual host, configuration are applied in this order; true: the other way round. */
  readonly mostSpecificHeaderMutationsWins: boolean;
  readonly ignorePortInHostMatching: boolean;
  readonly ignorePathParametersInPathMatching: boolean;
  readonly perFilterConfigs: readonly PerFilterConfigModel[];
  readonly metadata: Metadata | undefined;
  /** Every cluster that some route names outright, for warming and for checks; sorted, without duplicates. */
  readonly clusters: readonly string[];
}

/** One entry of typed_per_filter_config, a FilterConfig wrapper taken apart. */
export interface PerFilterConfigModel {
  readonly filterName: string;
  /** What FilterConfig.disabled said; undefined where there is no such wrapper. */
  readonly disabled: boolean | undefined;
  /** True: ignore it where the filter is unknown. */
  readonly isOptional: boolean;
  /** Undefined: a FilterConfig that only disables or enables. */
  readonly config: TypedConfigModel | undefined;
}

export interface VirtualHostModel {
  readonly name: string;
  /** Lower-case, as configured otherwise: exact, `*suffix`, `prefix*` or `*`. */
  readonly domains: readonly string[];
  readonly routes: readonly RouteModel[];
  readonly requireTls: 'none' | 'external-only' | 'all';
  readonly virtualClusters: readonly VirtualClusterModel[];
  readonly requestHeaders: HeaderMutationModel;
  readonly responseHeaders: HeaderMutationModel;
  readonly perFilterConfigs: readonly PerFilterConfigModel[];
  readonly includeRequestAttemptCount: boolean;
  readonly includeAttemptCountInResponse: boolean;
  readonly includeIsTimeoutRetryHeader: boolean;
  readonly rateLimits: readonly RateLimitModel[];
  readonly metadata: Metadata | undefined;
}

/** route.v3.RateLimit. */
export type RateLimitModel = RateLimit;

export interface VirtualClusterModel {
  readonly name: string;
  readonly headers: readonly HeaderMatcherModel[];
}

export interface RouteModel {
  readonly name: string;
  readonly match: RouteMatchModel;
  readonly action: RouteActionModel | RedirectActionModel | DirectResponseActionModel | NonForwardingActionModel;
  readonly metadata: Metadata | undefined;
  readonly requestHeaders: HeaderMutationModel;
  readonly responseHeaders: HeaderMutationModel;
  readonly perFilterConfigs: readonly PerFilterConfigModel[];
  /** '' = no stats of its own. */
  readonly statPrefix: string;
  readonly decorator: DecoratorModel | undefined;
}

/** Names the span of a request on this route. */
export interface DecoratorModel {
  readonly operation: string;
  readonly propagate: boolean;
}

export type PathMatchModel =
  | { readonly kind: 'prefix' | 'path' | 'path-separated-prefix'; readonly value: string }
  /** RE2 syntax; matches the whole path without its query. */
  | { readonly kind: 'regex'; readonly value: string }
  | { readonly kind: 'connect' }
  /** envoy.path.match.uri_template.uri_template_matcher. */
  | { readonly kind: 'uri-template'; readonly value: string };

export interface RouteMatchModel {
  readonly path: PathMatchModel;
  readonly caseSensitive: boolean;
  readonly runtimeFraction: RuntimeFractionModel | undefined;
  readonly headers: readonly HeaderMatcherModel[];
  readonly queryParameters: readonly QueryParameterMatcherModel[];
  readonly grpc: boolean;
  readonly tlsContext: TlsContextMatchModel | undefined;
  readonly dynamicMetadata: readonly MetadataMatcherModel[];
}

export interface TlsContextMatchModel {
  readonly presented: boolean | undefined;
  readonly validated: boolean | undefined;
}

/** route.v3.HeaderMatcher. */
export type HeaderMatcherModel = HeaderMatch;

/** route.v3.QueryParameterMatcher. */
export type QueryParameterMatcherModel = QueryParameterMatch;

/** type.matcher.v3.MetadataMatcher. */
export interface MetadataMatcherModel {
  readonly filter: string;
  readonly path: readonly string[];
  readonly value: ValueMatcherModel;
  readonly invert: boolean;
}

/** type.matcher.v3.ValueMatcher. */
export type ValueMatcherModel =
  | { readonly kind: 'null' }
  | { readonly kind: 'double-exact'; readonly value: number }
  /** start <= value < end. */
  | { readonly kind: 'double-range'; readonly start: number; readonly end: number }
  | { readonly kind: 'string'; readonly matcher: StringMatcherModel }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'present'; readonly value: boolean }
  | { readonly kind: 'list'; readonly oneOf: ValueMatcherModel }
  | { readonly kind: 'or'; readonly values: readonly ValueMatcherModel[] };

/** type.matcher.v3.RegexMatchAndSubstitute: `\1` in the substitution is capture group 1, `\0` the whole match. */
export interface RegexRewriteModel {
  readonly regex: string;
  readonly substitution: string;
}

export type PathRewriteModel =
  | { readonly kind: 'prefix'; readonly value: string }
  | { readonly kind: 'regex'; readonly rewrite: RegexRewriteModel }
  /** envoy.path.rewrite.uri_template.uri_template_rewriter. */
  | { readonly kind: 'uri-template'; readonly value: string };

export type HostRewriteModel =
  | { readonly kind: 'literal'; readonly value: string }
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'path-regex'; readonly rewrite: RegexRewriteModel }
  /** The hostname of the upstream host, set by the router once a host is picked. */
  | { readonly kind: 'auto' };

export type ClusterSpecifierModel =
  | { readonly kind: 'cluster'; readonly name: string }
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'weighted'; readonly weighted: WeightedClustersModel };

export interface WeightedClustersModel {
  readonly clusters: readonly ClusterWeightModel[];
  /** The sum of the weights. */
  readonly totalWeight: number;
  readonly runtimeKeyPrefix: string;
  /** The header that carries the random value; '' = none. */
  readonly headerName: string;
}

export interface ClusterWeightModel {
  /** '' = `clusterHeader` names it. */
  readonly name: string;
  readonly clusterHeader: string;
  readonly weight: number;
  readonly metadataMatch: Metadata | undefined;
  readonly requestHeaders: HeaderMutationModel;
  readonly responseHeaders: HeaderMutationModel;
  readonly perFilterConfigs: readonly PerFilterConfigModel[];
  readonly hostRewrite: string | undefined;
}

export interface RouteActionModel {
  readonly kind: 'route';
  readonly cluster: ClusterSpecifierModel;
  readonly clusterNotFoundStatus: 404 | 500 | 503;
  readonly pathRewrite: PathRewriteModel | undefined;
  readonly hostRewrite: HostRewriteModel | undefined;
  readonly appendXForwardedHost: boolean;
  readonly priority: 'default' | 'high';
  readonly timeoutMs: number;
  readonly idleTimeoutMs: number | undefined;
  readonly maxStreamDurationMs: number | undefined;
  readonly grpcTimeoutHeaderMaxMs: number | undefined;
  readonly grpcTimeoutHeaderOffsetMs: number | undefined;
  /** The deprecated `max_grpc_timeout` and `grpc_timeout_offset`. A maximum of 0: any timeout that the request asks for. */
  readonly maxGrpcTimeoutMs: number | undefined;
  readonly grpcTimeoutOffsetMs: number | undefined;
  /** The route's policy, else the virtual host's. */
  readonly retry: RetryPolicyModel | undefined;
  readonly hedgeOnPerTryTimeout: boolean;
  /** The route's limit, else the virtual host's. */
  readonly requestBufferLimitBytes: number | undefined;
  /** The route's mirrors, else the virtual host's, else the configuration's. */
  readonly mirrors: readonly MirrorPolicyModel[];
  readonly internalRedirect: InternalRedirectModel | undefined;
  readonly upgrades: readonly UpgradeModel[];
  readonly metadataMatch: Metadata | undefined;
  readonly hashPolicies: readonly HashPolicyModel[];
  readonly rateLimits: readonly RateLimitModel[];
  /** The virtual host's rate limits count, too (`include_vh_rate_limits`). */
  readonly includeVirtualHostRateLimits: boolean;
}

export interface UpgradeModel {
  /** Lower-case. */
  readonly type: string;
  readonly enabled: boolean;
  readonly connect: ConnectModel | undefined;
}

/** RouteAction.UpgradeConfig.ConnectConfig: CONNECT is terminated here and its payload forwarded as TCP. */
export interface ConnectModel {
  /** So is POST. */
  readonly allowPost: boolean;
  /** The payload is preceded by a PROXY protocol header of this version; undefined: none. */
  readonly proxyProtocol: 'v1' | 'v2' | undefined;
}

export type HashPolicyModel = { readonly terminal: boolean } & (
  | { readonly kind: 'header'; readonly name: string; readonly rewrite: RegexRewriteModel | undefined }
  | {
      readonly kind: 'cookie';
      readonly name: string;
      /** Undefined: no cookie is made. 0: a session cookie. */
      readonly ttlMs: number | undefined;
      readonly path: string;
      readonly attributes: readonly { readonly name: string; readonly value: string }[];
    }
  | { readonly kind: 'source-ip' }
  | { readonly kind: 'query-parameter'; readonly name: string }
  | { readonly kind: 'filter-state'; readonly key: string }
);

export interface RedirectActionModel {
  readonly kind: 'redirect';
  readonly status: 301 | 302 | 303 | 307 | 308;
  readonly httpsRedirect: boolean;
  /** '' = keep. */
  readonly scheme: string;
  readonly host: string;
  /** 0 = keep. */
  readonly port: number;
  /** `path_redirect`; may hold a query. '' = none. */
  readonly path: string;
  readonly pathRewrite: PathRewriteModel | undefined;
  readonly stripQuery: boolean;
}

export interface DirectResponseActionModel {
  readonly kind: 'direct-response';
  readonly status: number;
  /** Latin1 text, one character a byte. */
  readonly body: string;
}

export interface NonForwardingActionModel {
  readonly kind: 'non-forwarding';
}

/** route.v3.RetryPolicy with defaults applied. */
export interface RetryPolicyModel {
  /** Comma-separated tokens as configured; the router compiles them once. */
  readonly retryOn: string;
  readonly numRetries: number;
  readonly perTryTimeoutMs: number | undefined;
  readonly perTryIdleTimeoutMs: number | undefined;
  readonly retriableStatusCodes: readonly number[];
  readonly retriableHeaders: readonly HeaderMatcherModel[];
  readonly retriableRequestHeaders: readonly HeaderMatcherModel[];
  readonly backOffBaseMs: number;
  readonly backOffMaxMs: number;
  readonly rateLimited: RateLimitedBackOffModel | undefined;
  /** Names of retry host predicates, e.g. `envoy.retry_host_predicates.previous_hosts`. */
  readonly hostPredicates: readonly string[];
  /** Metadata for omit_host_metadata. */
  readonly omitHostMetadata: Metadata | undefined;
  readonly hostSelectionMaxAttempts: number;
  readonly retryPriority: string | undefined;
}

export interface RateLimitedBackOffModel {
  readonly maxIntervalMs: number;
  readonly resetHeaders: readonly { readonly name: string; readonly format: 'seconds' | 'unix-timestamp' }[];
}

export interface MirrorPolicyModel {
  readonly cluster: string;
  readonly clusterHeader: string;
  readonly numerator: number;
  readonly denominator: number;
  readonly runtimeKey: string;
  readonly disableShadowHostSuffix: boolean;
}

export interface InternalRedirectModel {
  readonly maxInternalRedirects: number;
  readonly redirectResponseCodes: readonly number[];
  readonly allowCrossScheme: boolean;
  readonly predicates: readonly string[];
  /** For the predicate allow_listed_routes: the names of routes that a redirect may lead to. */
  readonly allowedRoutes?: readonly string[];
  readonly responseHeadersToCopy: readonly string[];
}
