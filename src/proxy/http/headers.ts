import type { HeaderField, HeaderList, Headers } from '../../filters/headers.ts';
import { isToken, safeValue } from './safe-text.ts';

/**
 * Headers of one message as the data path carries them: two parallel arrays for the regular fields, one property for
 * each pseudo-header ('' or 0 = absent). Codecs fill and read the arrays directly, with what they have
 * checked; everybody else uses the methods, which keep out what no field can have: a name that is none is ignored, line
 * ends and the like in a value become spaces.
 */
export class HeaderMap implements Headers {
  method = '';
  path = '';
  authority = '';
  scheme = '';
  /** `:protocol` of extended CONNECT (RFC 8441), also the upgrade type of an HTTP/1.1 Upgrade request. */
  protocol = '';
  status = 0;
  readonly names: string[] = [];
  readonly values: string[] = [];
  /** Names as spelt on the wire, parallel to `names`; kept only where a codec preserves case. */
  originalNames: string[] | undefined = undefined;
  /** How the wire spelt `host` (it became `authority`); kept only where a codec preserves case. */
  originalHostName: string | undefined = undefined;
  /** The reason phrase that came with an HTTP/1.1 status line; kept only where a codec preserves it. */
  reason: string | undefined = undefined;

  static of(fields: HeaderList): HeaderMap {
    const map = new HeaderMap();
    for (const [name, value] of fields) map.append(name, value);
    return map;
  }

  get size(): number {
    return this.names.length;
  }

  get(name: string): string | undefined {
    if (name.charCodeAt(0) === 58) return this.#pseudo(name);
    const at = this.names.indexOf(name);
    return at === -1 ? undefined : this.values[at];
  }

  getAll(name: string): string[] {
    if (name.charCodeAt(0) === 58) {
      const value = this.#pseudo(name);
      return value === undefined ? [] : [value];
    }
    const found: string[] = [];
    const { names, values } = this;
    for (let i = 0; i < names.length; i++) if (names[i] === name) found.push(values[i]!);
    return found;
  }

  has(name: string): boolean {
    return name.charCodeAt(0) === 58 ? this.#pseudo(name) !== undefined : this.names.includes(name);
  }

  set(name: string, value: string): void {
    if (name.charCodeAt(0) === 58) return this.#setPseudo(name, value);
    const at = this.names.indexOf(name);
    if (at === -1) return this.#push(name, value);
    this.values[at] = safeValue(value);
    this.#removeFrom(name, at + 1);
  }

  append(name: string, value: string): void {
    if (name.charCodeAt(0) === 58) this.#setPseudo(name, value);
    else this.#push(name, value);
  }

  delete(name: string): boolean {
    if (name.charCodeAt(0) === 58) {
      const had = this.#pseudo(name) !== undefined;
      this.#setPseudo(name, '');
      return had;
    }
    const at = this.names.indexOf(name);
    if (at === -1) return false;
    this.#removeFrom(name, at);
    return true;
  }

  /** Removes the field at index `at` of the arrays. */
  removeAt(at: number): void {
    this.names.splice(at, 1);
    this.values.splice(at, 1);
    this.originalNames?.splice(at, 1);
  }

  /** Keeps the first `size` fields: the end of a pass that moved the ones to keep to the front of the arrays. */
  truncate(size: number): void {
    if (size === this.names.length) return;
    this.names.length = size;
    this.values.length = size;
    if (this.originalNames !== undefined) this.originalNames.length = size;
  }

  *entries(): IterableIterator<HeaderField> {
    for (let i = 0; i < this.names.length; i++) yield [this.names[i]!, this.values[i]!];
  }

  /** A copy that shares nothing (for retries, mirrors and internal redirects). */
  clone(): HeaderMap {
    const copy = new HeaderMap();
    copy.method = this.method;
    copy.path = this.path;
    copy.authority = this.authority;
    copy.scheme = this.scheme;
    copy.protocol = this.protocol;
    copy.status = this.status;
    for (let i = 0; i < this.names.length; i++) {
      copy.names.push(this.names[i]!);
      copy.values.push(this.values[i]!);
    }
    if (this.originalNames !== undefined) copy.originalNames = this.originalNames.slice();
    copy.originalHostName = this.originalHostName;
    copy.reason = this.reason;
    return copy;
  }

  /** Bytes as Envoy counts them for its limits and `*_HEADERS_BYTES`: names and values, pseudo-headers included. */
  byteSize(): number {
    let bytes = 0;
    if (this.method !== '') bytes += 7 + this.method.length;
    if (this.path !== '') bytes += 5 + this.path.length;
    if (this.authority !== '') bytes += 10 + this.authority.length;
    if (this.scheme !== '') bytes += 7 + this.scheme.length;
    // Of an HTTP/1.1 upgrade it is no field of its own.
    if (this.protocol !== '' && this.method === 'CONNECT') bytes += 9 + this.protocol.length;
    if (this.status !== 0) bytes += 10;
    for (let i = 0; i < this.names.length; i++) bytes += this.names[i]!.length + this.values[i]!.length;
    return bytes;
  }

  #push(name: string, value: string): void {
    if (!isToken(name)) return;
    this.names.push(name);
    this.values.push(safeValue(value));
    this.originalNames?.push(name);
  }

  #removeFrom(name: string, from: number): void {
    const { names } = this;
    for (let i = names.indexOf(name, from); i !== -1; i = names.indexOf(name, i)) this.removeAt(i);
  }

  #pseudo(name: string): string | undefined {
    switch (name) {
      case ':method':
        return this.method || undefined;
      case ':path':
        return this.path || undefined;
      case ':authority':
        return this.authority || undefined;
      case ':scheme':
        return this.scheme || undefined;
      case ':protocol':
        return this.protocol || undefined;
      case ':status':
        return this.status === 0 ? undefined : String(this.status);
      default:
        return undefined;
    }
  }

  #setPseudo(name: string, value: string): void {
    switch (name) {
      case ':method':
        this.method = value;
        break;
      case ':path':
        this.path = value;
        break;
      case ':authority':
        this.authority = value;
        break;
      case ':scheme':
        this.scheme = value;
        break;
      case ':protocol':
        this.protocol = value;
        break;
      case ':status':
        this.status = Number(value) || 0;
        break;
    }
  }
}
