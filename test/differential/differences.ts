const FRAMING =
  'Envoy takes it for what was meant; here framing is strict (RFC 9112), so that no two parsers can disagree.';
const UPSTREAM_FRAMING =
  'Envoy passes it on; here a response that breaks RFC 9112 is a protocol error of the upstream.';
const ONE_READ =
  'A request that came in one piece is read as a whole before its turn ends, so it is complete when the answer is made; Envoy answers between the pieces.';

const REST_HAS_COME =
  'The same answer; the rest of the request, which came in the same read, is refused with RST_STREAM(NO_ERROR), where Envoy has looked at it first.';
const BYTESTREAM =
  'The same on the wire; `:protocol: bytestream` means nothing more than CONNECT, and is not in REQUEST_HEADERS_BYTES.';
const CONNECT_ERROR =
  'The same answer; behind it the rest of the request is refused with RST_STREAM(NO_ERROR) as everywhere, Envoy says CONNECT_ERROR.';

/** Where Outrigger differs from Envoy, by the name of the case, with the reason. Shown in docs/differences.md. */
export const DIFFERENCES: Readonly<Record<string, string>> = {
  'strict: two spaces': FRAMING,
  'strict: a tab for a space': FRAMING,
  'strict: two hosts': FRAMING,
  'strict: obs-fold': FRAMING,
  'strict: obs-fold with a tab': FRAMING,
  'strict: a bare LF ends a line': FRAMING,
  'strict: bare LFs only': FRAMING,
  'strict: a bare CR in a value': FRAMING,
  'strict: CR CR LF': FRAMING,
  'strict: a chunk that is too long': FRAMING,
  'strict: a chunk size line with a bare LF': FRAMING,
  'lenient: HTTP/1.0 with transfer-encoding': FRAMING,
  'strict: an empty host': 'Envoy routes a request with an empty Host; here it is answered like one without (400).',
  'lenient: HTTP/1.0 keep-alive':
    'The same bytes; `connection: keep-alive` is added by the codec, so it is not in RESPONSE_HEADERS_BYTES.',
  'upstream answers with HTTP/2.0': UPSTREAM_FRAMING,
  'upstream answers with a status of 99': UPSTREAM_FRAMING,
  'upstream answers with a status of 1000': UPSTREAM_FRAMING,
  'upstream answers with obs-fold': UPSTREAM_FRAMING,
  'upstream answers with 101 unasked':
    'Envoy passes a 101 that nobody asked for on; here it is a protocol error, so that no connection can be smuggled into another protocol.',
  'overflow: POST /': ONE_READ,
  'bridge: protobuf, answer 3':
    'Envoy takes five bytes from the front of any answer, for the header of a gRPC frame; here an answer that is not gRPC stays whole.',
  'to-h1: h2 CONNECT, the client ends':
    'Envoy drops what comes together with the end of the upstream connection; here the client gets it.',
  'to-h1: h2 CONNECT with bytestream': BYTESTREAM,
  'to-h2: h2 CONNECT with bytestream': BYTESTREAM,
  'closed: h2 CONNECT': CONNECT_ERROR,
  'closed: h2 websocket': CONNECT_ERROR,
  'json: a stream that is nothing but an outcome':
    'Envoy writes `[]` behind `content-length: 0`; here the length goes, so that the response can be read.',
  'h2 only2: HTTP/1': 'Envoy closes without a word; here the client is told with GOAWAY, as RFC 9113 asks for.',
  'grpc: a direct response': REST_HAS_COME,
  'grpc: a redirect': REST_HAS_COME,
  'grpc: no such cluster': REST_HAS_COME,
  'grpc: no route': REST_HAS_COME,
  'grpc: no host': REST_HAS_COME,
  'a host that no filter has asked for':
    'Envoy has the cluster ask for it; here only the dynamic forward proxy filters fill the cache, and there is no host.',
};
