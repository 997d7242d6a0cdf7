/** The gRPC status that stands for an HTTP status (grpc's http-grpc-status-mapping). */
export function grpcStatusOf(httpStatus: number): number {
  switch (httpStatus) {
    case 400:
      return 13;
    case 401:
      return 16;
    case 403:
      return 7;
    case 404:
      return 12;
    case 429:
    case 502:
    case 503:
    case 504:
      return 14;
    default:
      return 2;
  }
}

const UNSAFE = /[^\x20-\x24\x26-\x7e]/g;

/** The percent-encoding of a grpc-message (gRPC over HTTP/2, "Status-Message"); takes one character a byte. */
export function percentEncode(message: string): string {
  return message.replace(UNSAFE, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}
