import type { CodecError } from '../codec.ts';

/**
 * What can be wrong with an HTTP/1 message. Statuses and details are Envoy's, as its access log shows them; the status
 * is that of the answer to a malformed request, for a response it has no meaning.
 */
export const Http1Error = {
  codecError: { status: 400, detail: 'http1.codec_error' },
  invalidCharacters: { status: 400, detail: 'http1.invalid_characters' },
  invalidUrl: { status: 400, detail: 'http1.invalid_url' },
  invalidScheme: { status: 400, detail: 'http1.invalid_scheme' },
  invalidAuthority: { status: 400, detail: 'http.invalid_authority' },
  lowVersion: { status: 426, detail: 'low_version' },
  headersTooLarge: { status: 431, detail: 'http1.headers_too_large' },
  tooManyHeaders: { status: 431, detail: 'http1.too_many_headers' },
  invalidTransferEncoding: { status: 501, detail: 'http1.invalid_transfer_encoding' },
  lengthAndChunked: { status: 400, detail: 'http1.content_length_and_chunked_not_allowed' },
  bodyDisallowed: { status: 400, detail: 'http1.body_disallowed' },
  transferEncodingNotAllowed: { status: 400, detail: 'http1.transfer_encoding_not_allowed' },
  contentLengthNotAllowed: { status: 400, detail: 'http1.content_length_not_allowed' },
  connectionHeaderRejected: { status: 400, detail: 'http1.connection_header_rejected' },
} as const satisfies Record<string, CodecError>;
