import type { Headers } from './headers.ts';

export const GRPC_CONTENT_TYPE = 'application/grpc';

/** `application/grpc` and `application/grpc+proto`, not `application/grpc-web`. */
export function hasGrpcContentType(headers: Headers): boolean {
  const type = headers.get('content-type');
  if (type === undefined || !type.startsWith(GRPC_CONTENT_TYPE)) return false;
  return type.length === GRPC_CONTENT_TYPE.length || type.charCodeAt(GRPC_CONTENT_TYPE.length) === 0x2b;
}

export function isGrpcRequest(headers: Headers): boolean {
  return hasGrpcContentType(headers) && headers.has(':path');
}

/** A response of headers alone is gRPC's if it has a status ("trailers-only"). */
export function isGrpcResponse(headers: Headers, endStream: boolean): boolean {
  return endStream ? headers.has('grpc-status') : headers.get(':status') === '200' && hasGrpcContentType(headers);
}

/** The service and method that a path calls; undefined: it isn't `/service/method`. */
export function methodCalled(path: string | undefined): { service: string; method: string } | undefined {
  if (path === undefined) return undefined;
  const query = path.indexOf('?');
  const parts = (query === -1 ? path : path.slice(0, query)).split('/').filter((part) => part !== '');
  return parts.length === 2 ? { service: parts[0]!, method: parts[1]! } : undefined;
}
