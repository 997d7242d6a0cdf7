/** As Envoy, which takes `~` for unsafe too. */
const UNSAFE = /[^\x20-\x24\x26-\x7d]/g;

/** The percent-encoding of a grpc-message (gRPC over HTTP/2, "Status-Message"); takes one character a byte. */
export function percentEncode(message: string): string {
  return message.replace(UNSAFE, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}
