/**
 * What came in was checked by a codec, but filters, rewrites and answers of other services add to it: nothing of that
 * may end a line or start another message, not even by the truncation that characters beyond latin1 suffer when they
 * are written.
 */
const UNSAFE_VALUE = /[\0\r\n\u0100-\uffff]/;
const UNSAFE_VALUES = /[\0\r\n\u0100-\uffff]/g;
const UNSAFE_TARGET = /[^\x21-\x7e]/;
const UNSAFE_TARGETS = /[^\x21-\x7e]/g;
const NOT_TOKEN = /[^!#$%&'*+\-.^_`|~0-9A-Za-z]/;

/** `value` with spaces for what a field value can't have (RFC 9110 section 5.5). */
export function safeValue(value: string): string {
  return UNSAFE_VALUE.test(value) ? value.replace(UNSAFE_VALUES, ' ') : value;
}

/** A request target or authority, percent-encoded where a start line or Host can't have what it holds. */
export function safeTarget(target: string): string {
  return UNSAFE_TARGET.test(target) ? target.replace(UNSAFE_TARGETS, percentEncode) : target;
}

/** Whether `name` may be written as a field name. */
export function isToken(name: string): boolean {
  return name !== '' && !NOT_TOKEN.test(name);
}

function percentEncode(character: string): string {
  let text = '';
  for (const byte of Buffer.from(character, character > '\xff' ? 'utf8' : 'latin1')) {
    text += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}
