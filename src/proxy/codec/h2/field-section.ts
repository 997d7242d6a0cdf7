import { HeaderMap } from '../../http/headers.ts';
import type { Http2Settings } from '../server-codec.ts';
import { isHost } from '../h1/chars.ts';
import { isToken } from '../../http/safe-text.ts';
import { FieldFlaw, type HpackSink } from './hpack/hpack.ts';

/** What is wrong with a header section; each has its detail and its counter. */
export type SectionProblem = 'header' | 'messaging' | 'count' | 'bytes' | 'cookies' | 'underscore';

const REQUEST = 0;
const RESPONSE = 1;
const TRAILERS = 2;

const COLON = 58;
const SPACE = 32;
const DEL = 127;
const UNDERSCORE = '_';
/** Envoy's name and separator of a joined cookie. */
const CRUMB = '; ';

/**
 * One header section as it comes out of HPACK: fills a HeaderMap and judges it by the rules for messages (RFC 9113
 * section 8), in the order of the fields. What one field alone can have wrong, the decoder has found already.
 */
export class FieldSection implements HpackSink {
  headers = new HeaderMap();
  problem: SectionProblem | undefined = undefined;
  /** What content-length says; -1 = nothing. */
  contentLength = -1;
  readonly #maxCount: number;
  readonly #maxBytes: number;
  readonly #allowConnect: boolean;
  readonly #underscores: 'allow' | 'reject-request' | 'drop-header';
  readonly #onUnderscoreDropped: () => void;
  #kind: typeof REQUEST | typeof RESPONSE | typeof TRAILERS = REQUEST;
  #count = 0;
  #bytes = 0;
  #cookieBytes = 0;
  #cookies = '';
  #hasCookie = false;
  #hasHost = false;
  #hasPath = false;
  #regular = false;

  /** `allowConnect`: of extended CONNECT. */
  constructor(settings: Http2Settings, allowConnect: boolean, onUnderscoreDropped: () => void) {
    this.#maxCount = settings.maxHeadersCount;
    this.#maxBytes = settings.maxHeadersBytes;
    this.#allowConnect = allowConnect;
    this.#underscores = settings.headersWithUnderscores ?? 'allow';
    this.#onUnderscoreDropped = onUnderscoreDropped;
  }

  begin(kind: 'request' | 'response' | 'trailers'): void {
    this.#kind = kind === 'request' ? REQUEST : kind === 'response' ? RESPONSE : TRAILERS;
    this.headers = new HeaderMap();
    this.problem = undefined;
    this.contentLength = -1;
    this.#count = 0;
    this.#bytes = 0;
    this.#cookieBytes = 0;
    this.#cookies = '';
    this.#hasCookie = false;
    this.#hasHost = false;
    this.#hasPath = false;
    this.#regular = false;
  }

  onField(name: string, value: string, flaws: number): boolean {
    if ((flaws & (FieldFlaw.name | FieldFlaw.value)) !== 0) return this.#refuse('header');
    this.#bytes += name.length + value.length;
    if (this.#bytes > this.#maxBytes) return this.#refuse(this.#cookieBytes > this.#maxBytes ? 'cookies' : 'bytes');
    if (name.charCodeAt(0) === COLON) return this.#pseudo(name, value);
    this.#regular = true;
    if (this.#underscores !== 'allow' && name.includes(UNDERSCORE)) {
      if (this.#underscores === 'reject-request') return this.#refuse('underscore');
      this.#onUnderscoreDropped();
      return true;
    }
    switch (name.length) {
      case 2:
        if (name === 'te' && value !== 'trailers') return this.#refuse('header');
        break;
      case 4:
        if (name === 'host' && this.#kind === REQUEST) return this.#host(value);
        break;
      case 6:
        if (name === 'cookie') return this.#crumb(value);
        break;
      case 7:
        if (name === 'upgrade') return this.#refuse('header');
        break;
      case 10:
        if (name === 'connection' || name === 'keep-alive') return this.#refuse('header');
        break;
      case 14:
        if (name === 'content-length' && this.#kind !== TRAILERS && !this.#length(value)) return this.#refuse('header');
        break;
      case 16:
        if (name === 'proxy-connection') return this.#refuse('header');
        break;
      case 17:
        if (name === 'transfer-encoding') return this.#refuse('header');
        break;
    }
    this.headers.names.push(name);
    this.headers.values.push(value);
    return ++this.#count > this.#maxCount ? this.#refuse('count') : true;
  }

  /** All fields of a request have come (section 8.3.1, RFC 8441). */
  endRequest(endStream: boolean): SectionProblem | undefined {
    if (this.problem !== undefined) return this.problem;
    const { headers } = this;
    this.#addCookies();
    const { method, path, protocol, scheme } = headers;
    if (method === '' || headers.authority === '') return this.#judge('messaging');
    if (method === 'CONNECT' && protocol === '') {
      if (this.#hasPath || scheme !== '') return this.#judge('messaging');
    } else {
      if (!this.#hasPath || scheme === '') return this.#judge('messaging');
      if (protocol !== '' && method !== 'CONNECT') return this.#judge('messaging');
      const isHttp = scheme === 'http' || scheme === 'https';
      const isStar = method === 'OPTIONS' && path === '*';
      if (isHttp && path.charCodeAt(0) !== 0x2f && !isStar) return this.#judge('messaging');
    }
    if (endStream && this.contentLength > 0) return this.#judge('messaging');
    return this.problem;
  }

  /** All fields of a response have come (section 8.3.2). `bodiless`: to HEAD. */
  endResponse(endStream: boolean, bodiless: boolean): SectionProblem | undefined {
    if (this.problem !== undefined) return this.problem;
    this.#addCookies();
    const { status } = this.headers;
    // Switching protocols is HTTP/1.1's alone (section 8.6).
    if (status === 0 || status === 101) return this.#judge('messaging');
    if (status < 200 && (endStream || this.contentLength !== -1)) return this.#judge('messaging');
    if (status === 204 && this.contentLength > 0) return this.#judge('messaging');
    if (endStream && this.contentLength > 0 && !bodiless && status !== 304) return this.#judge('messaging');
    return this.problem;
  }

  endTrailers(endStream: boolean): SectionProblem | undefined {
    if (this.problem !== undefined) return this.problem;
    this.#addCookies();
    return endStream ? this.problem : this.#judge('messaging');
  }

  #judge(problem: SectionProblem): SectionProblem {
    this.problem = problem;
    return problem;
  }

  #refuse(problem: SectionProblem): false {
    this.problem = problem;
    return false;
  }

  #pseudo(name: string, value: string): boolean {
    // Trailers have none, and none comes behind a regular field.
    if (this.#regular || this.#kind === TRAILERS || !this.#setPseudo(name, value)) return this.#refuse('header');
    return ++this.#count > this.#maxCount ? this.#refuse('count') : true;
  }

  /** False: unknown, there already, or not a value for it. */
  #setPseudo(name: string, value: string): boolean {
    const { headers } = this;
    if (this.#kind === RESPONSE) {
      if (name !== ':status' || headers.status !== 0 || value.length !== 3) return false;
      const status = Number(value);
      if (!(status >= 100)) return false;
      headers.status = status;
      return true;
    }
    switch (name) {
      case ':method':
        if (headers.method !== '' || !isToken(value)) return false;
        headers.method = value;
        return true;
      case ':path':
        if (this.#hasPath || !isTarget(value)) return false;
        this.#hasPath = true;
        headers.path = value;
        return true;
      case ':scheme':
        if (headers.scheme !== '' || !isScheme(value)) return false;
        headers.scheme = value;
        return true;
      case ':authority':
        if (headers.authority !== '' || value === '' || !isHost(value)) return false;
        headers.authority = value;
        return true;
      case ':protocol':
        if (!this.#allowConnect || headers.protocol !== '' || value === '') return false;
        headers.protocol = value;
        return true;
      default:
        return false;
    }
  }

  /** Stands in for `:authority`; beside one it is dropped, as Envoy does (section 8.3.1 lets a server reject it). */
  #host(value: string): boolean {
    if (this.#hasHost || value === '' || !isHost(value)) return this.#refuse('header');
    this.#hasHost = true;
    if (this.headers.authority !== '') return true;
    this.headers.authority = value;
    return ++this.#count > this.#maxCount ? this.#refuse('count') : true;
  }

  /** Crumbs become one field again (section 8.2.3). */
  #crumb(value: string): boolean {
    this.#cookies = this.#hasCookie ? this.#cookies + CRUMB + value : value;
    this.#hasCookie = true;
    this.#cookieBytes += value.length + CRUMB.length;
    return true;
  }

  #addCookies(): void {
    if (!this.#hasCookie) return;
    this.headers.names.push('cookie');
    this.headers.values.push(this.#cookies);
    if (++this.#count > this.#maxCount) this.problem = 'count';
  }

  #length(value: string): boolean {
    if (this.contentLength !== -1 || value === '' || value.length > 15) return false;
    let length = 0;
    for (let i = 0; i < value.length; i++) {
      const digit = value.charCodeAt(i) - 48;
      if (digit < 0 || digit > 9) return false;
      length = length * 10 + digit;
    }
    this.contentLength = length;
    return true;
  }
}

function isTarget(path: string): boolean {
  if (path === '') return false;
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code <= SPACE || code === DEL) return false;
  }
  return true;
}

/** RFC 3986 section 3.1. */
function isScheme(scheme: string): boolean {
  return scheme === 'http' || scheme === 'https' || /^[a-z][a-z0-9+.-]*$/i.test(scheme);
}
