/**
 * What normalising does with a header field, by name. One length switch and at most a few comparisons per field:
 * this runs for every field of every message.
 */
export const HeaderClass = {
  /** Kept; duplicates stay apart. */
  Other: 0,
  /** Kept; Envoy holds one value of it, so duplicates are joined with a comma. */
  Single: 1,
  /** Of the connection, not of the message: always removed. */
  HopByHop: 2,
  /** Removed unless the message is an upgrade. */
  Connection: 3,
  Upgrade: 4,
  /** Removed from requests that come from outside. */
  ExternalOnly: 5,
  /** Removed from requests that come from outside and that we are the first to see. */
  EdgeOnly: 6,
  Te: 7,
  Referer: 8,
  ForwardedFor: 9,
  ForwardedProto: 10,
  ForwardedPort: 11,
  RequestId: 12,
  ClientCert: 13,
} as const;

/** The class of a request header; `name` is lower-case. */
export function requestHeaderClass(name: string): number {
  switch (name.length) {
    case 2:
      return name === 'te' ? HeaderClass.Te : HeaderClass.Other;
    case 3:
      return name === 'via' ? HeaderClass.Single : HeaderClass.Other;
    case 6:
      return name === 'accept' || name === 'origin' || name === 'pragma' || name === 'expect'
        ? HeaderClass.Single
        : HeaderClass.Other;
    case 7:
      if (name === 'upgrade') return HeaderClass.Upgrade;
      return name === 'referer' ? HeaderClass.Referer : HeaderClass.Other;
    case 8:
      return name === 'if-match' ? HeaderClass.Single : HeaderClass.Other;
    case 10:
      if (name === 'connection') return HeaderClass.Connection;
      if (name === 'keep-alive') return HeaderClass.HopByHop;
      return name === 'user-agent' ? HeaderClass.Single : HeaderClass.Other;
    case 12:
      if (name === 'x-request-id') return HeaderClass.RequestId;
      return name === 'content-type' || name === 'grpc-timeout' || name === 'proxy-status'
        ? HeaderClass.Single
        : HeaderClass.Other;
    case 13:
      return name === 'authorization' || name === 'cache-control' || name === 'if-none-match'
        ? HeaderClass.Single
        : HeaderClass.Other;
    case 15:
      if (name === 'x-forwarded-for') return HeaderClass.ForwardedFor;
      if (name === 'x-envoy-ip-tags') return HeaderClass.ExternalOnly;
      return name === 'accept-encoding' ? HeaderClass.Single : HeaderClass.Other;
    case 16:
      if (name === 'x-envoy-internal' || name === 'proxy-connection') return HeaderClass.HopByHop;
      if (name === 'x-envoy-retry-on') return HeaderClass.ExternalOnly;
      if (name === 'x-forwarded-port') return HeaderClass.ForwardedPort;
      return name === 'x-forwarded-host' || name === 'content-encoding' ? HeaderClass.Single : HeaderClass.Other;
    case 17:
      if (name === 'x-forwarded-proto') return HeaderClass.ForwardedProto;
      if (name === 'transfer-encoding') return HeaderClass.HopByHop;
      return name === 'x-client-trace-id' || name === 'if-modified-since' ? HeaderClass.Single : HeaderClass.Other;
    default:
      return name.length > 17 ? longRequestHeaderClass(name) : HeaderClass.Other;
  }
}

function longRequestHeaderClass(name: string): number {
  if (name.charCodeAt(0) !== 0x78 /* x */) {
    switch (name) {
      case 'if-unmodified-since':
      case 'access-control-request-method':
      case 'access-control-request-headers':
      case 'grpc-accept-encoding':
        return HeaderClass.Single;
      default:
        return HeaderClass.Other;
    }
  }
  switch (name) {
    case 'x-envoy-max-retries':
    case 'x-envoy-force-trace':
    case 'x-envoy-original-url':
    case 'x-envoy-retry-grpc-on':
    case 'x-envoy-retriable-status-codes':
    case 'x-envoy-retriable-header-names':
    case 'x-envoy-upstream-alt-stat-name':
    case 'x-envoy-upstream-rq-timeout-ms':
    case 'x-envoy-expected-rq-timeout-ms':
    case 'x-envoy-upstream-stream-duration-ms':
    case 'x-envoy-hedge-on-per-try-timeout':
    case 'x-envoy-upstream-rq-per-try-timeout-ms':
    case 'x-envoy-upstream-rq-timeout-alt-response':
      return HeaderClass.ExternalOnly;
    case 'x-envoy-original-path':
    case 'x-envoy-original-host':
    case 'x-envoy-decorator-operation':
    case 'x-envoy-downstream-service-node':
    case 'x-envoy-downstream-service-cluster':
      return HeaderClass.EdgeOnly;
    case 'x-envoy-attempt-count':
    case 'x-envoy-external-address':
    case 'x-envoy-is-timeout-retry':
      return HeaderClass.Single;
    case 'x-forwarded-client-cert':
      return HeaderClass.ClientCert;
    default:
      return HeaderClass.Other;
  }
}

/** The class of a response header: HopByHop, Connection, Upgrade, Single or Other. */
export function responseHeaderClass(name: string): number {
  switch (name.length) {
    case 3:
      return name === 'via' || name === 'age' ? HeaderClass.Single : HeaderClass.Other;
    case 4:
      return name === 'date' || name === 'etag' || name === 'vary' ? HeaderClass.Single : HeaderClass.Other;
    case 6:
      return name === 'server' ? HeaderClass.Single : HeaderClass.Other;
    case 7:
      if (name === 'upgrade') return HeaderClass.Upgrade;
      return name === 'expires' ? HeaderClass.Single : HeaderClass.Other;
    case 8:
      return name === 'location' ? HeaderClass.Single : HeaderClass.Other;
    case 10:
      if (name === 'connection') return HeaderClass.Connection;
      return name === 'keep-alive' ? HeaderClass.HopByHop : HeaderClass.Other;
    case 11:
      return name === 'grpc-status' ? HeaderClass.Single : HeaderClass.Other;
    case 12:
      return name === 'content-type' || name === 'grpc-message' || name === 'x-request-id' || name === 'proxy-status'
        ? HeaderClass.Single
        : HeaderClass.Other;
    case 13:
      return name === 'cache-control' || name === 'last-modified' ? HeaderClass.Single : HeaderClass.Other;
    case 16:
      if (name === 'proxy-connection') return HeaderClass.HopByHop;
      return name === 'content-encoding' || name === 'x-envoy-degraded' ? HeaderClass.Single : HeaderClass.Other;
    case 17:
      return name === 'transfer-encoding' ? HeaderClass.HopByHop : HeaderClass.Other;
    default:
      return name.length > 17 ? longResponseHeaderClass(name) : HeaderClass.Other;
  }
}

function longResponseHeaderClass(name: string): number {
  switch (name) {
    case 'x-envoy-ratelimited':
    case 'x-envoy-attempt-count':
    case 'x-envoy-upstream-canary':
    case 'x-envoy-decorator-operation':
    case 'x-envoy-upstream-service-time':
    case 'x-envoy-immediate-health-check-fail':
    case 'access-control-allow-origin':
    case 'access-control-allow-methods':
    case 'access-control-allow-headers':
    case 'access-control-allow-credentials':
    case 'access-control-expose-headers':
    case 'access-control-max-age':
      return HeaderClass.Single;
    default:
      return HeaderClass.Other;
  }
}
