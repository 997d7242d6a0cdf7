import type { Http1Settings } from '../codec.ts';
import type { HeaderMap } from '../../http/headers.ts';
import { safeTarget, safeValue } from '../../http/safe-text.ts';
import { ChunkedBody, FixedBody, NoBody, Tunnel, UntilCloseBody, type BodyKind } from './body-kind.ts';
import { SLASH } from './chars.ts';
import { hasOption } from './connection-header.ts';
import { properCase } from './header-case.ts';
import { reasonPhrase } from './reason-phrase.ts';

/**
 * Writes heads as latin1 text and decides, with the head, how the body will be framed. Framing fields are this file's
 * own: what the header map says of `transfer-encoding` and of connections is not written, except for upgrades.
 * One an HTTP/1 connection; the public fields tell of the head that was written last.
 */
export class HeadSerializer {
  body: BodyKind = NoBody;
  bodyLength = 0;
  /** The header map had `connection: close`. */
  asksToClose = false;
  readonly #proper: boolean;
  readonly #preserve: boolean;
  readonly #settings: Http1Settings;

  constructor(settings: Http1Settings) {
    this.#settings = settings;
    this.#proper = settings.headerCase === 'proper';
    this.#preserve = settings.headerCase === 'preserve';
  }

  /** `hasBody`: data or trailers follow. */
  request(headers: HeaderMap, hasBody: boolean): string {
    const { method } = headers;
    const authority = safeTarget(headers.authority);
    const path = safeTarget(headers.path);
    const connect = method === 'CONNECT';
    const target = connect
      ? authority
      : this.#settings.sendFullyQualifiedUrl && path.charCodeAt(0) === SLASH
        ? `${headers.scheme || 'http'}://${authority}${path}`
        : path;
    let host = 'host';
    if (this.#proper) host = 'Host';
    else if (this.#preserve && headers.originalHostName !== undefined) host = headers.originalHostName;
    const upgrade = headers.protocol !== '' && !connect;
    let head = `${method} ${target} HTTP/1.1\r\n`;
    // An absent authority stands for an empty one: HTTP/1.1 demands the field.
    head += `${host}: ${authority}\r\n${this.#fields(headers, !connect, upgrade)}`;
    if (upgrade && !headers.names.includes('upgrade')) head += this.#upgrade(headers.protocol);

    if (connect || upgrade) {
      this.body = Tunnel;
    } else if (this.body === UntilCloseBody) {
      if (hasBody) {
        head += this.#field('transfer-encoding', 'chunked');
        this.body = ChunkedBody;
      } else {
        // RFC 9110 section 8.6: a length of zero for methods that anticipate a body.
        if (anticipatesBody(method)) head += this.#field('content-length', '0');
        this.body = NoBody;
      }
    }
    return head + '\r\n';
  }

  /**
   * `http10`: the client speaks HTTP/1.0. `keepAlive`: it also asked for the connection to stay. `close`: this side
   * will close it. `method`: the request's.
   */
  response(
    headers: HeaderMap,
    hasBody: boolean,
    method: string,
    http10: boolean,
    keepAlive: boolean,
    close: boolean,
  ): string {
    const { status } = headers;
    const connected = method === 'CONNECT' && status >= 200 && status < 300;
    const upgraded = status === 101;
    const bodyless = connected || status < 200 || status === 204;
    let phrase: string | undefined;
    if (this.#settings.forwardReasonPhrase)
      phrase = headers.reason === undefined ? undefined : safeValue(headers.reason);
    let head = `${http10 ? 'HTTP/1.0' : 'HTTP/1.1'} ${status} ${phrase ?? reasonPhrase(status)}\r\n`;
    head += this.#fields(headers, !bodyless, upgraded);
    if (upgraded && headers.protocol !== '' && !headers.names.includes('upgrade'))
      head += this.#upgrade(headers.protocol);

    let framing = '';
    if (upgraded || connected) {
      this.body = Tunnel;
    } else if (bodyless || status === 304) {
      this.body = NoBody;
    } else if (this.body === UntilCloseBody) {
      if (!hasBody && method !== 'HEAD') {
        framing = this.#field('content-length', '0');
        this.body = NoBody;
      } else if (!http10) {
        framing = this.#field('transfer-encoding', 'chunked');
        this.body = ChunkedBody;
      }
    }
    if (method === 'HEAD' && !upgraded) this.body = NoBody;

    if (!upgraded && !connected && status >= 200) {
      if (close || this.asksToClose || this.body === UntilCloseBody) {
        this.asksToClose = true;
        head += this.#field('connection', 'close');
      } else if (http10 && keepAlive) head += this.#field('connection', 'keep-alive');
    }
    return `${head}${framing}\r\n`;
  }

  /** The trailer section with the last chunk before it. */
  trailers(trailers: HeaderMap): string {
    return `0\r\n${this.#fields(trailers, false, false)}\r\n`;
  }

  /** The fields of the map. Leaves in `body` what they say: UntilCloseBody = nothing. */
  #fields(headers: HeaderMap, length: boolean, upgrade: boolean): string {
    const { names, values } = headers;
    const originals = this.#preserve ? headers.originalNames : undefined;
    let text = '';
    this.body = UntilCloseBody;
    this.bodyLength = 0;
    this.asksToClose = false;
    for (let i = 0; i < names.length; i++) {
      let name = names[i]!;
      const value = values[i]!;
      switch (name.length) {
        case 7:
          if (name === 'upgrade' && !upgrade) continue;
          break;
        case 10:
          if (name === 'keep-alive') continue;
          if (name === 'connection' && !upgrade) {
            this.asksToClose ||= hasOption(value, 'close');
            continue;
          }
          break;
        case 14:
          if (name === 'content-length' && (!length || !this.#readLength(value))) continue;
          break;
        case 16:
          if (name === 'proxy-connection') continue;
          break;
        case 17:
          if (name === 'transfer-encoding') continue;
          break;
      }
      if (originals !== undefined) name = originals[i]!;
      else if (this.#proper) name = properCase.of(name);
      text += `${name}: ${value}\r\n`;
    }
    return text;
  }

  /** False: a second or an invalid length, which must not be written. */
  #readLength(value: string): boolean {
    if (this.body !== UntilCloseBody || value.length === 0 || value.length > 16) return false;
    let length = 0;
    for (let i = 0; i < value.length; i++) {
      const digit = value.charCodeAt(i) - 48;
      if (digit < 0 || digit > 9) return false;
      length = length * 10 + digit;
    }
    if (length > Number.MAX_SAFE_INTEGER) return false;
    this.bodyLength = length;
    this.body = length === 0 ? NoBody : FixedBody;
    return true;
  }

  #upgrade(protocol: string): string {
    return this.#field('connection', 'upgrade') + this.#field('upgrade', protocol);
  }

  #field(name: string, value: string): string {
    return `${this.#proper ? properCase.of(name) : name}: ${safeValue(value)}\r\n`;
  }
}

function anticipatesBody(method: string): boolean {
  return method !== 'GET' && method !== 'HEAD' && method !== 'DELETE' && method !== 'TRACE';
}
