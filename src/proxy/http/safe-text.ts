import { CR, LF, TOKEN } from '../codec/h1/chars.ts';

/**
 * What came in was checked by a codec, but filters, rewrites and answers of other services add to it: nothing of that
 * may end a line or start another message, not even by the truncation that characters beyond latin1 suffer when they
 * are written.
 */
// Each is looked for in a loop first, which for texts of this length costs less than starting a regular expression.
const UNSAFE_VALUES = /[\0\r\n\u0100-\uffff]/g;
const UNSAFE_TARGETS = /[^\x21-\x7e]/g;

const MAX_TOKENS = 1024;
/** Names that have been found good: nearly all that are ever asked for are constants. A pure cache. */
const tokens = new Set<string>();

/** `value` with spaces for what a field value can't have (RFC 9110 section 5.5). */
export function safeValue(value: string): string {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code < 0x20 ? code === 0 || code === CR || code === LF : code > 0xff) return value.replace(UNSAFE_VALUES, ' ');
  }
  return value;
}

/** A request target or authority, percent-encoded where a start line or Host can't have what it holds. */
export function safeTarget(target: string): string {
  for (let i = 0; i < target.length; i++) {
    const code = target.charCodeAt(i);
    if (code < 0x21 || code > 0x7e) return target.replace(UNSAFE_TARGETS, percentEncode);
  }
  return target;
}

/** Whether `name` may be written as a field name. */
export function isToken(name: string): boolean {
  if (tokens.has(name)) return true;
  for (let i = 0; i < name.length; i++) if (TOKEN[name.charCodeAt(i)] !== 1) return false;
  if (name === '') return false;
  if (tokens.size < MAX_TOKENS) tokens.add(name);
  return true;
}

function percentEncode(character: string): string {
  let text = '';
  for (const byte of Buffer.from(character, character > '\xff' ? 'utf8' : 'latin1')) {
    text += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}
