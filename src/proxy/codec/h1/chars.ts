/**
 * Which bytes may stand where in an HTTP/1.1 head (RFC 9110 section 5, RFC 9112 section 3), as tables of 256: one look
 * per byte is all that the parser does with most of its input.
 */

/** Field names and methods: 1 = `tchar`. */
export const TOKEN = tableOf("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

/** Field values and reason phrases: 1 = visible, space, tab or obs-text (0x80-0xff). */
export const VALUE = new Uint8Array(256).fill(1, 32);
VALUE[0x09] = 1;
VALUE[0x7f] = 0;

/** Request targets: 1 = visible US-ASCII. Whether it is well-formed as a URI is not looked at, as in Envoy. */
export const TARGET = new Uint8Array(256).fill(1, 0x21, 0x7f);

/** `uri-host [":" port]` (RFC 3986 section 3.2): unreserved, sub-delims, percent, colon and the brackets of IPv6. */
const HOST = tableOf("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=%:[]");

export const CR = 13;
export const LF = 10;
export const SPACE = 32;
export const SLASH = 0x2f;
export const TAB = 9;
export const COLON = 58;
export const DEL = 127;

/** Whether every character of `host` may stand in an authority without userinfo. */
export function isHost(host: string): boolean {
  for (let i = 0; i < host.length; i++) if (HOST[host.charCodeAt(i)] !== 1) return false;
  return true;
}

/** A control character other than tab, CR and LF: Envoy reports those apart from other syntax errors. */
export function isForbiddenControl(code: number): boolean {
  return (code < 32 && code !== TAB && code !== CR && code !== LF) || code === 0x7f;
}

function tableOf(characters: string): Uint8Array {
  const table = new Uint8Array(256);
  for (let i = 0; i < characters.length; i++) table[characters.charCodeAt(i)] = 1;
  return table;
}
