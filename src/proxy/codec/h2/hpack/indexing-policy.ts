/** How fields of a name are sent that are in no table yet. */
export type IndexingPolicy =
  /** Added to the table at once, until that has turned out not to be worth it. */
  | 'always'
  /** Added when the same value comes twice in a row: most values of these names are not seen again. */
  | 'repeated'
  /** Sent as never-indexed literals: secrets that could be guessed at by watching the sizes of blocks (RFC 7541 section 7.1.3). */
  | 'never';

/** Cookies below this could be guessed at. */
export const SHORT_COOKIE = 20;

/** What is known of a name beforehand; what isn't is learnt. */
export function policyOf(name: string): IndexingPolicy {
  switch (name) {
    case 'authorization':
    case 'proxy-authorization':
      return 'never';
    case ':path':
    case 'age':
    case 'baggage':
    case 'b3':
    case 'content-length':
    case 'content-range':
    case 'cookie':
    case 'etag':
    case 'expires':
    case 'grpc-message':
    case 'grpc-timeout':
    case 'if-match':
    case 'if-modified-since':
    case 'if-none-match':
    case 'if-range':
    case 'if-unmodified-since':
    case 'last-modified':
    case 'link':
    case 'location':
    case 'range':
    case 'referer':
    case 'set-cookie':
    case 'traceparent':
    case 'tracestate':
    case 'x-amzn-trace-id':
    case 'x-b3-parentspanid':
    case 'x-b3-spanid':
    case 'x-b3-traceid':
    case 'x-cloud-trace-context':
    case 'x-envoy-upstream-service-time':
    case 'x-forwarded-for':
    case 'x-request-id':
      return 'repeated';
    default:
      return 'always';
  }
}
