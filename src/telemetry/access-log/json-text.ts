const plainText = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;
const highByte = /[\x80-\xff]/;
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function isUtf8(bytesText: string): boolean {
  try {
    decoder.decode(Buffer.from(bytesText, 'latin1'));
    return true;
  } catch {
    return false;
  }
}

/**
 * A JSON string of text that stands for bytes. Bytes that aren't valid UTF-8 as a whole are printed as `\u00XX` each,
 * as Envoy does.
 */
export function bytesToJson(bytesText: string): string {
  if (plainText.test(bytesText)) return `"${bytesText}"`;
  const json = JSON.stringify(bytesText);
  if (!highByte.test(bytesText) || isUtf8(bytesText)) return json;
  return json.replace(/[\x80-\xff]/g, (byte) => `\\u00${byte.charCodeAt(0).toString(16)}`);
}

/** A number as Envoy prints it: whole ones in full. */
export function numberToJson(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? '"NaN"' : value > 0 ? '"Infinity"' : '"-Infinity"';
  return Math.abs(value) > Number.MAX_SAFE_INTEGER && Math.abs(value) < 2 ** 64
    ? BigInt(value).toString()
    : String(value);
}

/** JSON of a structure of Unicode strings (metadata), with the keys of its objects in byte order, as Envoy prints it. */
export function toJson(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') return numberToJson(value);
  if (Array.isArray(value)) return `[${value.map(toJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .sort(([a], [b]) => compareBytes(a, b))
      .map(([key, field]) => `${JSON.stringify(key)}:${toJson(field)}`);
    return `{${fields.join(',')}}`;
  }
  return typeof value === 'boolean' ? String(value) : 'null';
}

/** Orders strings by their UTF-8 bytes. */
export function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
