import type { CodecError, Http1Settings } from '../codec.ts';
import { CR, SLASH, SPACE, TARGET, TOKEN, VALUE, isForbiddenControl } from './chars.ts';
import { Http1Error } from './errors.ts';
import type { HeadParser } from './head-parser.ts';

/** The methods that Envoy's parser knows; others are malformed unless `allow_custom_methods` is set. */
const METHODS: ReadonlySet<string> = new Set(
  (
    'GET POST PUT HEAD DELETE OPTIONS PATCH CONNECT TRACE ACL BIND CHECKOUT COPY LINK LOCK MERGE MKACTIVITY ' +
    'MKCALENDAR MKCOL MOVE MSEARCH NOTIFY PROPFIND PROPPATCH PURGE REBIND REPORT SEARCH SOURCE SUBSCRIBE UNBIND ' +
    'UNLINK UNLOCK UNSUBSCRIBE'
  ).split(' '),
);

/**
 * Reads `method SP request-target SP HTTP-version CRLF` (RFC 9112 section 3), whose LF is at `lf`. A version other than
 * 1.0 and 1.1 is left for later to refuse: the message may have worse faults.
 */
export function readRequestLine(
  head: HeadParser,
  text: string,
  lf: number,
  settings: Http1Settings,
): CodecError | undefined {
  let i = 0;
  while (TOKEN[text.charCodeAt(i)] === 1) i++;
  if (i === 0 || text.charCodeAt(i) !== SPACE) return malformedAt(text, i);
  const method = knownMethod(text, i);
  if (method === '' && !settings.allowCustomMethods) return Http1Error.codecError;
  head.headers.method = method === '' ? text.slice(0, i) : method;

  const targetStart = ++i;
  while (TARGET[text.charCodeAt(i)] === 1) i++;
  if (i === targetStart) return malformedAt(text, i);
  head.target = text.slice(targetStart, i);
  // HTTP/0.9 has no version; nor is anything to follow that could be waited for.
  if (text.charCodeAt(i) === CR && i + 1 === lf)
    return text.charCodeAt(targetStart) === SLASH ? Http1Error.lowVersion : Http1Error.codecError;
  if (text.charCodeAt(i) !== SPACE) return malformedAt(text, i);

  const version = readVersion(text, i + 1);
  if (version < 0 || text.charCodeAt(i + 9) !== CR || i + 10 !== lf) return Http1Error.codecError;
  head.version = version;
  return undefined;
}

/** Reads `HTTP-version SP status-code [SP reason-phrase] CRLF` (RFC 9112 section 4), whose LF is at `lf`. */
export function readStatusLine(head: HeadParser, text: string, lf: number): CodecError | undefined {
  if (lf < 13 || text.charCodeAt(lf - 1) !== CR) return Http1Error.codecError;
  const version = readVersion(text, 0);
  if (version <= 0 || text.charCodeAt(8) !== SPACE) return Http1Error.codecError;
  const a = text.charCodeAt(9) - 48;
  const b = text.charCodeAt(10) - 48;
  const c = text.charCodeAt(11) - 48;
  if (!(a >= 1 && a <= 9 && b >= 0 && b <= 9 && c >= 0 && c <= 9)) return Http1Error.codecError;
  let i = 12;
  if (text.charCodeAt(i) === SPACE) i++;
  else if (i !== lf - 1) return Http1Error.codecError;
  const reasonStart = i;
  while (VALUE[text.charCodeAt(i)] === 1) i++;
  if (i !== lf - 1) return malformedAt(text, i);
  head.version = version;
  head.reason = text.slice(reasonStart, i);
  head.headers.status = a * 100 + b * 10 + c;
  return undefined;
}

/** `HTTP/` DIGIT `.` DIGIT at `at`: 11, 10, 0 for another version, -1 if it is none. */
function readVersion(text: string, at: number): number {
  if (!text.startsWith('HTTP/', at) || text.charCodeAt(at + 6) !== 46) return -1;
  const major = text.charCodeAt(at + 5) - 48;
  const minor = text.charCodeAt(at + 7) - 48;
  if (!(major >= 0 && major <= 9 && minor >= 0 && minor <= 9)) return -1;
  if (major !== 1 || minor > 1) return 0;
  return 10 + minor;
}

/** The usual methods without allocating. '' = not a registered one. */
function knownMethod(text: string, length: number): string {
  if (length === 3 && text.startsWith('GET')) return 'GET';
  if (length === 4 && text.startsWith('POST')) return 'POST';
  const method = text.slice(0, length);
  return METHODS.has(method) ? method : '';
}

function malformedAt(text: string, at: number): CodecError {
  return isForbiddenControl(text.charCodeAt(at)) ? Http1Error.invalidCharacters : Http1Error.codecError;
}
