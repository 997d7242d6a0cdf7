import type { HeaderMap } from '../http/headers.ts';
import { parseRetryGrpcOn, parseRetryOn } from './retry-policy.ts';
import { parseUnsigned } from './timeouts.ts';

/** True if the request has a header that starts with `x-envoy-`; without one there is nothing to consume. */
export function hasEnvoyHeader(headers: HeaderMap): boolean {
  const { names } = headers;
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    // 'x', '-', 'e' first: most names fail at once.
    if (name.charCodeAt(0) === 120 && name.charCodeAt(2) === 101 && name.startsWith('x-envoy-')) return true;
  }
  return false;
}

/** Takes `name` out of the headers and gives its (first) value. */
export function takeHeader(headers: HeaderMap, name: string): string | undefined {
  const value = headers.get(name);
  if (value !== undefined) headers.delete(name);
  return value;
}

/** `hedge_on_per_try_timeout`, as the request's own header may override it. Consumes the header. */
export function takeHedging(headers: HeaderMap, configured: boolean): boolean {
  const value = takeHeader(headers, 'x-envoy-hedge-on-per-try-timeout');
  return value === 'true' || (value !== 'false' && configured);
}

/** The first of `names` (`strict_check_headers`) whose value can't be understood. */
export function findInvalidControl(headers: HeaderMap, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = headers.get(name);
    if (value !== undefined && !isValid(name, value)) return name;
  }
  return undefined;
}

function isValid(name: string, value: string): boolean {
  switch (name) {
    case 'x-envoy-retry-on':
      return parseRetryOn(value).valid;
    case 'x-envoy-retry-grpc-on':
      return parseRetryGrpcOn(value).valid;
    case 'x-envoy-upstream-rq-timeout-ms':
    case 'x-envoy-upstream-rq-per-try-timeout-ms':
    case 'x-envoy-max-retries':
      return parseUnsigned(value) !== undefined;
    default:
      return true;
  }
}

/** `:scheme`, where a filter has taken it away: what x-forwarded-proto says, else by the downstream's transport. */
export function ensureScheme(headers: HeaderMap, secure: boolean): void {
  const { scheme } = headers;
  if (scheme === 'http' || scheme === 'https') return;
  const forwarded = headers.get('x-forwarded-proto');
  if (forwarded === 'http' || forwarded === 'https') headers.scheme = forwarded;
  else headers.scheme = secure ? 'https' : 'http';
}
