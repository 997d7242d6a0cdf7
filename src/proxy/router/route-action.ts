import type { ConnectModel, RouteActionModel } from '../../config/route-model.ts';
import type { Metadata } from '../../filters/stream-info.ts';
import type { HeaderMap } from '../http/headers.ts';
import type { HashPolicy } from './hash-policy.ts';
import type { RateLimitPolicy } from '../../filters/rate-limit-policy.ts';
import { directResponseLocation } from './redirect.ts';
import type {
  DirectResponseAction,
  ForwardAction,
  InternalRedirectModel,
  MirrorPolicyModel,
  RetryPolicyModel,
} from './route.ts';

/** A route action with its cluster settled: the route's own, one of its weighted clusters, or one that a header named. */
export class Forward implements ForwardAction {
  readonly kind = 'forward';
  readonly clusterName: string;
  readonly clusterNotFoundStatus: number;
  readonly priority: 'default' | 'high';
  readonly timeoutMs: number;
  readonly idleTimeoutMs: number | undefined;
  readonly maxStreamDurationMs: number | undefined;
  readonly grpcTimeoutHeaderMaxMs: number | undefined;
  readonly grpcTimeoutHeaderOffsetMs: number | undefined;
  readonly maxGrpcTimeoutMs: number | undefined;
  readonly grpcTimeoutOffsetMs: number | undefined;
  readonly retry: RetryPolicyModel | undefined;
  readonly hedgeOnPerTryTimeout: boolean;
  readonly requestBufferLimitBytes: number | undefined;
  readonly mirrors: readonly MirrorPolicyModel[];
  readonly internalRedirect: InternalRedirectModel | undefined;
  readonly autoHostRewrite: boolean;
  readonly appendXForwardedHost: boolean;
  readonly upgrades: ReadonlyMap<string, boolean>;
  readonly metadataMatch: Metadata | undefined;
  readonly connect: ConnectModel | undefined;
  readonly hashPolicy: HashPolicy | undefined;
  readonly rateLimits: RateLimitPolicy | undefined;
  readonly includeVirtualHostRateLimits: boolean;

  constructor(
    model: RouteActionModel,
    clusterName: string,
    metadataMatch: Metadata | undefined,
    upgrades: ReadonlyMap<string, boolean>,
    hashPolicy: HashPolicy | undefined,
    rateLimits: RateLimitPolicy | undefined,
  ) {
    this.clusterName = clusterName;
    this.clusterNotFoundStatus = model.clusterNotFoundStatus;
    this.priority = model.priority;
    this.timeoutMs = model.timeoutMs;
    this.idleTimeoutMs = model.idleTimeoutMs;
    this.maxStreamDurationMs = model.maxStreamDurationMs;
    this.grpcTimeoutHeaderMaxMs = model.grpcTimeoutHeaderMaxMs;
    this.grpcTimeoutHeaderOffsetMs = model.grpcTimeoutHeaderOffsetMs;
    this.maxGrpcTimeoutMs = model.maxGrpcTimeoutMs;
    this.grpcTimeoutOffsetMs = model.grpcTimeoutOffsetMs;
    this.retry = model.retry;
    this.hedgeOnPerTryTimeout = model.hedgeOnPerTryTimeout;
    this.requestBufferLimitBytes = model.requestBufferLimitBytes;
    this.mirrors = model.mirrors;
    this.internalRedirect = model.internalRedirect;
    this.autoHostRewrite = model.hostRewrite?.kind === 'auto';
    this.appendXForwardedHost = model.appendXForwardedHost;
    this.upgrades = upgrades;
    this.metadataMatch = metadataMatch;
    this.connect = model.upgrades.find(({ connect }) => connect !== undefined)?.connect;
    this.hashPolicy = hashPolicy;
    this.rateLimits = rateLimits;
    this.includeVirtualHostRateLimits = model.includeVirtualHostRateLimits;
  }
}

export class DirectResponse implements DirectResponseAction {
  readonly kind = 'direct-response';
  readonly status: number;
  readonly body: string;

  constructor(status: number, body: string) {
    this.status = status;
    this.body = body;
  }

  location(headers: HeaderMap): string {
    return directResponseLocation(this.status, headers);
  }
}
