import { parseIpAddress } from '../../lib/ip-address.ts';

/**
 * Whether a `referer` may be forwarded (RFC 9110 section 10.1.3: neither fragment nor userinfo). As in Envoy it is
 * either an absolute URI with a host, or a relative reference without a colon in its first segment.
 */
export function isValidReferer(value: string): boolean {
  const scheme = value.indexOf('://');
  if (scheme > 0 && isScheme(value, scheme)) return isValidAbsolute(value, scheme + 3);
  return isValidRelative(value);
}

function isScheme(value: string, end: number): boolean {
  for (let i = 0; i < end; i++) {
    const code = value.charCodeAt(i);
    if (isAlpha(code)) continue;
    if (i === 0 || !(isDigit(code) || code === 0x2b || code === 0x2d || code === 0x2e)) return false;
  }
  return true;
}

function isValidAbsolute(value: string, from: number): boolean {
  let end = from;
  while (end < value.length) {
    const code = value.charCodeAt(end);
    if (code === 0x2f || code === 0x3f) break;
    end++;
  }
  if (!isHostAndPort(value, from, end)) return false;
  let query = false;
  for (let i = end; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code < 0x21 || code > 0x7e) return false;
    if (code === 0x3f) query = true;
    // A trailing '#' behind a query has no fragment.
    else if (code === 0x23 && !(query && i === value.length - 1)) return false;
  }
  return true;
}

function isHostAndPort(value: string, from: number, end: number): boolean {
  let at = from;
  if (value.charCodeAt(at) === 0x5b) {
    const close = value.indexOf(']', at);
    if (close === -1 || close >= end) return false;
    const address = parseIpAddress(value.slice(at + 1, close));
    if (address === undefined || address.v4) return false;
    at = close + 1;
  } else {
    while (at < end && isHostChar(value.charCodeAt(at))) at++;
    if (at === from) return false;
  }
  if (at === end) return true;
  if (value.charCodeAt(at) !== 0x3a || at + 1 === end) return false;
  let port = 0;
  for (at++; at < end; at++) {
    const code = value.charCodeAt(at);
    if (!isDigit(code)) return false;
    port = port * 10 + code - 0x30;
    if (port > 65535) return false;
  }
  return true;
}

function isValidRelative(value: string): boolean {
  let slash = false;
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code === 0x2f) slash = true;
    else if (code === 0x3a && !slash) return false;
    if (!isUriChar(code)) return false;
  }
  return true;
}

function isHostChar(code: number): boolean {
  return isAlpha(code) || isDigit(code) || code === 0x2d || code === 0x2e;
}

/** Characters of a path or query (RFC 3986 section 3.4). */
function isUriChar(code: number): boolean {
  if (isAlpha(code) || (code >= 0x24 && code <= 0x3b)) return true;
  return code === 0x21 || code === 0x3d || code === 0x3f || code === 0x40 || code === 0x5f || code === 0x7e;
}

function isAlpha(code: number): boolean {
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}
