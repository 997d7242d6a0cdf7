/** How the end of a message is found (RFC 9112 section 6). */
export const NoBody = 0;
/** Content-Length. */
export const FixedBody = 1;
/** Transfer-Encoding: chunked. */
export const ChunkedBody = 2;
/** The body of a response lasts until the connection ends. */
export const UntilCloseBody = 3;
/** No body: after CONNECT or an upgrade, once accepted, the connection carries raw bytes both ways. */
export const Tunnel = 4;

export type BodyKind = typeof NoBody | typeof FixedBody | typeof ChunkedBody | typeof UntilCloseBody | typeof Tunnel;
