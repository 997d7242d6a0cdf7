import type { HeaderMap } from '../http/headers.ts';
import type { ForwardAction } from './route.ts';

/** The timeouts of one request, in ms; 0 = none. */
export interface RequestTimeouts {
  /** From the end of the request to the end of the response. */
  globalMs: number;
  /** The same for one attempt. */
  perTryMs: number;
  /** Without a byte of the response, for one attempt. */
  perTryIdleMs: number;
}

/** Digits with blanks around them, as absl::SimpleAtoi reads an unsigned number; undefined: not a number. */
export function parseUnsigned(text: string): number | undefined {
  const value = /^\s*\+?(\d+)\s*$/.exec(text)?.[1];
  if (value === undefined) return undefined;
  const number = Number(value);
  return number < 2 ** 64 ? number : undefined;
}

/** True for `content-type: application/grpc` and `application/grpc+...`. */
export function isGrpcRequest(headers: HeaderMap): boolean {
  const type = headers.get('content-type');
  return type !== undefined && type.startsWith('application/grpc') && (type.length === 16 || type[16] === '+');
}

/** The `grpc-timeout` of a request in ms (rounded up); undefined: none, or malformed. */
export function grpcTimeout(headers: HeaderMap): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(headers.get('grpc-timeout') ?? '');
  if (match === null) return undefined;
  const value = Number(match[1]);
  switch (match[2]) {
    case 'H':
      return value * 3_600_000;
    case 'M':
      return value * 60_000;
    case 'S':
      return value * 1_000;
    case 'm':
      return value;
    case 'u':
      return Math.ceil(value / 1_000);
    default:
      return Math.ceil(value / 1_000_000);
  }
}

/** Writes `grpc-timeout` in the finest unit that keeps to eight digits. */
export function setGrpcTimeout(headers: HeaderMap, ms: number): void {
  let value = Math.trunc(ms);
  let unit = 'm';
  if (value > 99_999_999) {
    value = Math.trunc(ms / 1_000);
    unit = 'S';
  }
  if (value > 99_999_999) {
    value = Math.trunc(ms / 60_000);
    unit = 'M';
  }
  if (value > 99_999_999) {
    value = Math.min(Math.trunc(ms / 3_600_000), 99_999_999);
    unit = 'H';
  }
  headers.set('grpc-timeout', `${value}${unit}`);
}

/** The route limits the whole stream (`max_stream_duration`) instead of the upstream request. */
export function usesStreamDuration(action: ForwardAction): boolean {
  return (
    action.maxStreamDurationMs !== undefined ||
    action.grpcTimeoutHeaderMaxMs !== undefined ||
    action.grpcTimeoutHeaderOffsetMs !== undefined
  );
}

/**
 * How long a stream on this route may last, counted from its start, in ms; 0 = for ever. For the owner of the stream,
 * which enforces it; it also rewrites `grpc-timeout` to what is left. `fallbackMs` is the connection manager's limit.
 */
export function streamDuration(action: ForwardAction, headers: HeaderMap, fallbackMs: number): number {
  const grpc = grpcTimeout(headers);
  let ms: number;
  if (grpc === undefined || action.grpcTimeoutHeaderMaxMs === undefined) {
    ms = action.maxStreamDurationMs ?? fallbackMs;
    if (ms === 0) return 0;
  } else {
    ms = grpc;
    if (action.grpcTimeoutHeaderMaxMs !== 0 && ms > action.grpcTimeoutHeaderMaxMs) ms = action.grpcTimeoutHeaderMaxMs;
    if (ms !== 0 && action.grpcTimeoutHeaderOffsetMs !== undefined)
      ms = Math.max(0, ms - action.grpcTimeoutHeaderOffsetMs);
  }
  if (grpc !== undefined || isGrpcRequest(headers)) setGrpcTimeout(headers, ms);
  // A time that is up at once still has to fire.
  return Math.max(ms, 1);
}

function grpcGlobalTimeout(action: ForwardAction, max: number, headers: HeaderMap): number {
  let ms = grpcTimeout(headers) ?? 0;
  const offset = action.grpcTimeoutOffsetMs;
  // An offset that would use up the whole timeout is left out: 0 would mean no timeout at all.
  if (offset !== undefined && offset < ms) ms -= offset;
  if (max !== 0 && (ms === 0 || ms > max)) ms = max;
  return ms;
}

/** Takes `name` out of the headers; its value if it is a number. */
function takeNumber(headers: HeaderMap, name: string): number | undefined {
  const text = headers.get(name);
  if (text === undefined) return undefined;
  headers.delete(name);
  return parseUnsigned(text);
}

/**
 * The timeouts that a request has by its route and its own `x-envoy-*` headers, which are consumed (Envoy's
 * http_route_timeouts FAQ and router filter docs). `controls`: some x-envoy header is there at all.
 */
export function requestTimeouts(
  action: ForwardAction,
  headers: HeaderMap,
  controls: boolean,
  grpc: boolean,
  respectExpected: boolean,
): RequestTimeouts {
  let globalMs = 0;
  if (!usesStreamDuration(action)) {
    const max = action.maxGrpcTimeoutMs;
    globalMs = grpc && max !== undefined ? grpcGlobalTimeout(action, max, headers) : action.timeoutMs;
  }
  let perTryMs = action.retry?.perTryTimeoutMs ?? 0;
  const perTryIdleMs = action.retry?.perTryIdleTimeoutMs ?? 0;
  if (controls) {
    const expected = respectExpected ? headers.get('x-envoy-expected-rq-timeout-ms') : undefined;
    if (expected !== undefined) globalMs = parseUnsigned(expected) ?? globalMs;
    else globalMs = takeNumber(headers, 'x-envoy-upstream-rq-timeout-ms') ?? globalMs;
    perTryMs = takeNumber(headers, 'x-envoy-upstream-rq-per-try-timeout-ms') ?? perTryMs;
  }
  if (globalMs !== 0 && perTryMs >= globalMs) perTryMs = 0;
  return { globalMs, perTryMs, perTryIdleMs };
}

/** Tells the upstream how long this attempt may take. `elapsedMs`: since the end of the request. */
export function setTimeoutHeaders(
  elapsedMs: number,
  timeouts: RequestTimeouts,
  action: ForwardAction,
  headers: HeaderMap,
  insertExpected: boolean,
  grpc: boolean,
  hedging: boolean,
): void {
  const { globalMs, perTryMs } = timeouts;
  // With hedging the first attempt goes on when the second starts, so it has the whole time.
  let expected = hedging || perTryMs === 0 ? globalMs : perTryMs;
  if (expected <= 0) return;
  // 0 would mean no timeout: once time is up, 1 ms.
  if (globalMs > 0) expected = elapsedMs >= globalMs ? 1 : Math.min(expected, globalMs - Math.trunc(elapsedMs));
  if (insertExpected) headers.set('x-envoy-expected-rq-timeout-ms', String(expected));
  if (grpc && action.maxGrpcTimeoutMs !== undefined && !usesStreamDuration(action)) setGrpcTimeout(headers, expected);
}
