import type { HeaderMap } from './headers.ts';

/** `:protocol` of a CONNECT whose payload is plain bytes, which is what CONNECT without it means, too. */
const BYTESTREAM = 'bytestream';

/**
 * What a request asks to become, in lower case: the type of its upgrade, `connect` for CONNECT, '' for a usual request.
 * Upgrades are looked at as HTTP/1.1 writes them, whatever they came with (see `acceptExtendedConnect`).
 */
export function upgradeType(headers: HeaderMap): string {
  const { protocol } = headers;
  if (headers.method === 'CONNECT')
    return protocol === '' || protocol === BYTESTREAM ? 'connect' : protocol.toLowerCase();
  return protocol === '' ? '' : protocol.toLowerCase();
}

/** True: this answer to a request of that method makes a tunnel of the stream. */
export function isTunnel(method: string, status: number): boolean {
  return status === 101 || (method === 'CONNECT' && status >= 200 && status < 300);
}

/** Turns an HTTP/2 request for an upgrade (extended CONNECT, RFC 8441) into what HTTP/1.1 has for it. Others stay. */
export function acceptExtendedConnect(headers: HeaderMap): void {
  const { protocol } = headers;
  if (headers.method !== 'CONNECT' || protocol === '') return;
  if (protocol === BYTESTREAM) {
    headers.protocol = '';
    return;
  }
  if (protocol === 'connect-udp') return;
  headers.method = 'GET';
  headers.set('upgrade', protocol);
  headers.set('connection', 'upgrade');
}

/**
 * The headers of an upgrade as HTTP/2 sends them; of any other request those that were given. The original is left as
 * it is, since another attempt may need it.
 */
export function asExtendedConnect(headers: HeaderMap): HeaderMap {
  if (headers.protocol === '' || headers.method === 'CONNECT') return headers;
  const copy = headers.clone();
  copy.method = 'CONNECT';
  copy.delete('upgrade');
  copy.delete('connection');
  if (copy.get('content-length') === '0') copy.delete('content-length');
  return copy;
}

/** An HTTP/2 upstream's consent to an upgrade, as HTTP/1.1 words it. */
export function acceptConnectResponse(headers: HeaderMap, protocol: string): void {
  if (headers.status !== 200) return;
  headers.set('upgrade', protocol);
  headers.set('connection', 'upgrade');
  headers.status = 101;
}

/** A response to an upgrade as HTTP/2 sends it. */
export function asConnectResponse(headers: HeaderMap): HeaderMap {
  if (headers.status !== 101) return headers;
  const copy = headers.clone();
  copy.status = 200;
  copy.delete('upgrade');
  copy.delete('connection');
  if (copy.get('content-length') === '0') copy.delete('content-length');
  return copy;
}
