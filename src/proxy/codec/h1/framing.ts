import type { CodecError, Http1Settings } from '../codec.ts';
import { ChunkedBody, FixedBody, NoBody, Tunnel, UntilCloseBody } from './body-kind.ts';
import { acceptRequestConnection, acceptResponseConnection } from './connection-header.ts';
import { Http1Error } from './errors.ts';
import type { HeadParser } from './head-parser.ts';
import { readTarget } from './request-target.ts';

/**
 * Judges a request head that was read: where its body ends (RFC 9112 section 6.3; anything ambiguous is refused), what
 * of it belongs to this hop, and where it is addressed to. Completes `head.headers`.
 */
export function acceptRequest(head: HeadParser, settings: Http1Settings): CodecError | undefined {
  if (head.contentLength === -1) return Http1Error.codecError;
  if (head.transferEncoding !== undefined) {
    const error = acceptRequestEncoding(head, settings);
    if (error !== undefined) return error;
  } else {
    setLength(head);
  }
  if (head.version !== 11 && !(head.version === 10 && settings.acceptHttp10)) return Http1Error.lowVersion;
  // HTTP/1.0 knows no transfer codings; an intermediary that doesn't either would see another message here.
  if (head.version === 10 && head.body === ChunkedBody) return Http1Error.transferEncodingNotAllowed;

  const error = acceptRequestConnection(head);
  if (error !== undefined) return error;
  const { headers } = head;
  if (headers.method === 'CONNECT' || headers.protocol !== '') {
    // Whether such a body would come before or after the switch, the two sides may see differently.
    if (head.body !== NoBody) return Http1Error.bodyDisallowed;
    head.body = Tunnel;
  }
  return readTarget(head, settings);
}

function acceptRequestEncoding(head: HeadParser, settings: Http1Settings): CodecError | undefined {
  const chunked = isChunked(head.transferEncoding!);
  if (head.contentLength !== undefined) {
    if (!chunked || !settings.allowChunkedLength) return Http1Error.lengthAndChunked;
    head.headers.delete('content-length');
  }
  if (!chunked || head.headers.method === 'CONNECT') return Http1Error.invalidTransferEncoding;
  head.body = ChunkedBody;
  return undefined;
}

/**
 * Judges a response head the same way. `method` is the request's; `upgrade`: it asked for one.
 */
export function acceptResponse(
  head: HeadParser,
  method: string,
  upgrade: boolean,
  settings: Http1Settings,
): CodecError | undefined {
  if (head.contentLength === -1) return Http1Error.codecError;
  const { status } = head.headers;
  const bodyless = status < 200 || status === 204 || (method === 'CONNECT' && status < 300);
  if (bodyless) {
    // RFC 9110 section 8.6: no content-length there. Of a 204 (and of CONNECT's 2xx) a length of zero is let through.
    if (head.transferEncoding !== undefined) return Http1Error.transferEncodingNotAllowed;
    if (head.contentLength !== undefined) {
      if (status < 200 || head.contentLength !== 0) return Http1Error.contentLengthNotAllowed;
      head.headers.delete('content-length');
    }
  }
  if (head.transferEncoding !== undefined) {
    const chunked = isChunked(head.transferEncoding);
    if (head.contentLength !== undefined) {
      if (!chunked || !settings.allowChunkedLength) return Http1Error.lengthAndChunked;
      head.headers.delete('content-length');
    }
    if (!chunked) return Http1Error.invalidTransferEncoding;
    if (head.version === 10) return Http1Error.transferEncodingNotAllowed;
    head.body = ChunkedBody;
  } else if (!setLength(head)) {
    head.body = UntilCloseBody;
  }
  acceptResponseConnection(head);

  if (status === 101) {
    if (!upgrade) return Http1Error.codecError;
    head.body = Tunnel;
  } else if (method === 'CONNECT' && status >= 200 && status < 300) {
    head.body = Tunnel;
  } else if (bodyless || status === 304 || method === 'HEAD') {
    head.body = NoBody;
  }
  return undefined;
}

function setLength(head: HeadParser): boolean {
  const length = head.contentLength;
  head.bodyLength = length ?? 0;
  head.body = head.bodyLength > 0 ? FixedBody : NoBody;
  return length !== undefined;
}

/** Only the one coding `chunked`, once. */
function isChunked(value: string): boolean {
  return value === 'chunked' || (value.length === 7 && value.toLowerCase() === 'chunked');
}
