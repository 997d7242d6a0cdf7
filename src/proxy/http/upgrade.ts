import type { HeaderMap } from './headers.ts';

/**
 * What a request asks to become, in lower case: the type of its upgrade, `connect` for CONNECT, '' for a usual request.
 * Upgrades look as HTTP/1.1 writes them, whatever they came with: the HTTP/2 codec translates extended CONNECT.
 */
export function upgradeType(headers: HeaderMap): string {
  const { protocol } = headers;
  if (protocol !== '') return protocol.toLowerCase();
  return headers.method === 'CONNECT' ? 'connect' : '';
}

/** True: this answer to a request of that method makes a tunnel of the stream. */
export function isTunnel(method: string, status: number): boolean {
  return status === 101 || (method === 'CONNECT' && status >= 200 && status < 300);
}
