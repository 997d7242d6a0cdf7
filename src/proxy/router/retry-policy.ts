import { HeaderMatcher } from './matchers/header-matcher.ts';
import type { RetryPolicyModel } from './route.ts';

/** Conditions of `retry_on` and `x-envoy-retry-on` / `-grpc-on`, one bit each. */
export const RetryOn = {
  FiveXx: 1,
  GatewayError: 1 << 1,
  Reset: 1 << 2,
  ResetBeforeRequest: 1 << 3,
  ConnectFailure: 1 << 4,
  EnvoyRateLimited: 1 << 5,
  Retriable4xx: 1 << 6,
  RefusedStream: 1 << 7,
  RetriableStatusCodes: 1 << 8,
  RetriableHeaders: 1 << 9,
  Http3PostConnectFailure: 1 << 10,
  GrpcCancelled: 1 << 11,
  GrpcDeadlineExceeded: 1 << 12,
  GrpcInternal: 1 << 13,
  GrpcResourceExhausted: 1 << 14,
  GrpcUnavailable: 1 << 15,
} as const;

const HTTP_TOKENS: ReadonlyMap<string, number> = new Map([
  ['5xx', RetryOn.FiveXx],
  ['gateway-error', RetryOn.GatewayError],
  ['reset', RetryOn.Reset],
  ['reset-before-request', RetryOn.ResetBeforeRequest],
  ['connect-failure', RetryOn.ConnectFailure],
  ['envoy-ratelimited', RetryOn.EnvoyRateLimited],
  ['retriable-4xx', RetryOn.Retriable4xx],
  ['refused-stream', RetryOn.RefusedStream],
  ['retriable-status-codes', RetryOn.RetriableStatusCodes],
  ['retriable-headers', RetryOn.RetriableHeaders],
  ['http3-post-connect-failure', RetryOn.Http3PostConnectFailure],
]);

const GRPC_TOKENS: ReadonlyMap<string, number> = new Map([
  ['cancelled', RetryOn.GrpcCancelled],
  ['deadline-exceeded', RetryOn.GrpcDeadlineExceeded],
  ['internal', RetryOn.GrpcInternal],
  ['resource-exhausted', RetryOn.GrpcResourceExhausted],
  ['unavailable', RetryOn.GrpcUnavailable],
]);

/** The bit of a grpc-status code, 0 if none asks for it. */
export function grpcStatusBit(status: number): number {
  switch (status) {
    case 1:
      return RetryOn.GrpcCancelled;
    case 4:
      return RetryOn.GrpcDeadlineExceeded;
    case 8:
      return RetryOn.GrpcResourceExhausted;
    case 13:
      return RetryOn.GrpcInternal;
    case 14:
      return RetryOn.GrpcUnavailable;
    default:
      return 0;
  }
}

export const ANY_GRPC =
  RetryOn.GrpcCancelled |
  RetryOn.GrpcDeadlineExceeded |
  RetryOn.GrpcInternal |
  RetryOn.GrpcResourceExhausted |
  RetryOn.GrpcUnavailable;

/** Bits of the tokens in `text`, and whether all of them are known. */
export interface ParsedRetryOn {
  readonly bits: number;
  readonly valid: boolean;
}

function parse(text: string, tables: readonly ReadonlyMap<string, number>[]): ParsedRetryOn {
  let bits = 0;
  let valid = true;
  for (const part of text.split(',')) {
    const token = part.trim();
    if (token === '') continue;
    let bit = 0;
    for (const table of tables) bit |= table.get(token) ?? 0;
    if (bit === 0) valid = false;
    bits |= bit;
  }
  return { bits, valid };
}

/** Parses the value of `x-envoy-retry-on`. */
export const parseRetryOn = (text: string): ParsedRetryOn => parse(text, [HTTP_TOKENS]);
/** Parses the value of `x-envoy-retry-grpc-on`. */
export const parseRetryGrpcOn = (text: string): ParsedRetryOn => parse(text, [GRPC_TOKENS]);
/** Parses a policy's `retry_on`, where both kinds of token may stand. */
export const parsePolicyRetryOn = (text: string): number => parse(text, [HTTP_TOKENS, GRPC_TOKENS]).bits;

/** A retry policy, compiled once for all requests of its route. */
export class RetryPolicy {
  readonly model: RetryPolicyModel;
  readonly retryOn: number;
  readonly retriableHeaders: readonly HeaderMatcher[];
  readonly retriableRequestHeaders: readonly HeaderMatcher[];
  readonly previousHosts: boolean;
  readonly omitCanaryHosts: boolean;
  /** No back-off was configured, so runtime may set the base interval. */
  readonly defaultBackOff: boolean;

  constructor(model: RetryPolicyModel) {
    this.model = model;
    this.retryOn = parsePolicyRetryOn(model.retryOn);
    this.retriableHeaders = model.retriableHeaders.map((matcher) => new HeaderMatcher(matcher));
    this.retriableRequestHeaders = model.retriableRequestHeaders.map((matcher) => new HeaderMatcher(matcher));
    this.previousHosts = model.hostPredicates.includes('envoy.retry_host_predicates.previous_hosts');
    this.omitCanaryHosts = model.hostPredicates.includes('envoy.retry_host_predicates.omit_canary_hosts');
    this.defaultBackOff = model.backOffBaseMs === 25 && model.backOffMaxMs === 250;
  }
}
