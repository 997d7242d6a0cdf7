import type { CodecError, Http1Settings } from '../codec.ts';
import { isHost } from './chars.ts';
import { Http1Error } from './errors.ts';
import type { HeadParser } from './head-parser.ts';

const SLASH = 47;

/**
 * Turns the request target (RFC 9112 section 3.2) into path, authority and scheme. The authority of an absolute-form
 * target replaces Host; userinfo in it is dropped. A missing Host is left for the connection manager to refuse.
 */
export function readTarget(head: HeadParser, settings: Http1Settings): CodecError | undefined {
  const { headers, target } = head;
  // Two Host fields, or one that no authority looks like, mean different hosts to different readers.
  if (head.hosts > 1 || !isHost(headers.authority)) return Http1Error.invalidAuthority;
  if (head.hosts === 0 && head.version === 10) headers.authority = settings.defaultHostForHttp10;

  if (headers.method === 'CONNECT') {
    if (!/:\d{1,5}$/.test(target) || !isHost(target)) return Http1Error.invalidUrl;
    headers.authority = target;
    return undefined;
  }
  if (target.charCodeAt(0) === SLASH) {
    headers.path = target;
    return undefined;
  }
  if (target === '*') {
    if (headers.method !== 'OPTIONS') return Http1Error.invalidUrl;
    headers.path = target;
    return undefined;
  }
  return readAbsolute(head, settings);
}

function readAbsolute(head: HeadParser, settings: Http1Settings): CodecError | undefined {
  const { headers, target } = head;
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(target)?.[1];
  if (scheme === undefined) return Http1Error.codecError;
  if (!settings.allowAbsoluteUrl) {
    headers.path = target;
    return undefined;
  }
  const lower = scheme.toLowerCase();
  if (lower !== 'http' && lower !== 'https') return Http1Error.invalidScheme;

  const start = scheme.length + 3;
  let end = start;
  while (end < target.length && !'/?#'.includes(target[end]!)) end++;
  let authority = target.slice(start, end);
  authority = authority.slice(authority.lastIndexOf('@') + 1);
  if (!isHost(authority) || target[end] === '#') return Http1Error.codecError;
  const port = /:([^\]]*)$/.exec(authority)?.[1];
  if (authority === '' || authority.startsWith(':') || (port !== undefined && !isPort(port)))
    return Http1Error.invalidUrl;

  headers.scheme = lower;
  headers.authority = authority;
  headers.path = end === target.length ? '/' : target.slice(end);
  if (headers.originalNames !== undefined) headers.originalHostName ??= 'host';
  return undefined;
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) <= 65535;
}
