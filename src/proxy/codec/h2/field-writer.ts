import type { HeaderMap } from '../../http/headers.ts';
import { safeTarget } from '../../http/safe-text.ts';
import type { HpackEncoder } from './hpack/encoder.ts';

/** The fields of a request. An HTTP/1.1 upgrade goes out as extended CONNECT (RFC 8441), as from Envoy's codec. */
export function writeRequest(encoder: HpackEncoder, headers: HeaderMap): void {
  const upgrade = headers.protocol !== '' && headers.method !== 'CONNECT';
  const method = upgrade ? 'CONNECT' : headers.method;
  encoder.field(':method', method);
  if (method !== 'CONNECT' || headers.protocol !== '') {
    if (headers.scheme !== '') encoder.field(':scheme', headers.scheme);
    if (headers.path !== '') encoder.field(':path', safeTarget(headers.path));
  }
  if (headers.authority !== '') encoder.field(':authority', safeTarget(headers.authority));
  if (headers.protocol !== '') encoder.field(':protocol', headers.protocol);
  writeFields(encoder, headers, upgrade);
}

/** The fields of a response; `status` may differ from that of the map. */
export function writeResponse(encoder: HpackEncoder, headers: HeaderMap, status: number): void {
  encoder.status(status);
  writeFields(encoder, headers, false);
}

/** Regular fields. Those that speak of an HTTP/1 connection have no meaning in HTTP/2 (RFC 9113 section 8.2.2). */
export function writeFields(encoder: HpackEncoder, headers: HeaderMap, withoutEmptyLength: boolean): void {
  const { names, values } = headers;
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    switch (name.length) {
      case 2:
        if (name === 'te' && values[i] !== 'trailers') continue;
        break;
      case 4:
        if (name === 'host') continue;
        break;
      case 7:
        if (name === 'upgrade') continue;
        break;
      case 10:
        if (name === 'connection' || name === 'keep-alive') continue;
        break;
      case 14:
        if (withoutEmptyLength && name === 'content-length' && values[i] === '0') continue;
        break;
      case 16:
        if (name === 'proxy-connection') continue;
        break;
      case 17:
        if (name === 'transfer-encoding') continue;
        break;
    }
    encoder.field(name, values[i]!);
  }
}
