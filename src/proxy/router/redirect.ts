import type { RedirectActionModel, RouteMatchModel } from '../../config/route-model.ts';
import { wireText } from '../../lib/wire-text.ts';
import type { HeaderMap } from '../http/headers.ts';
import { compilePathRewrite, rewritePath, type PathRewrite } from './route-rewrite.ts';
import type { RedirectAction } from './route.ts';

/** A route's redirect. */
export class Redirect implements RedirectAction {
  readonly kind = 'redirect';
  readonly status: number;
  readonly #scheme: string;
  readonly #host: string;
  /** `:port`, or ''. */
  readonly #port: string;
  readonly #path: string;
  readonly #pathHasQuery: boolean;
  readonly #rewrite: PathRewrite | undefined;
  readonly #stripQuery: boolean;

  constructor(model: RedirectActionModel, match: RouteMatchModel) {
    this.status = model.status;
    this.#scheme = model.scheme !== '' ? model.scheme : model.httpsRedirect ? 'https' : '';
    this.#host = wireText(model.host);
    this.#port = model.port === 0 ? '' : `:${model.port}`;
    this.#path = wireText(model.path);
    this.#pathHasQuery = model.path.includes('?');
    this.#rewrite = model.pathRewrite === undefined ? undefined : compilePathRewrite(model.pathRewrite, match);
    this.#stripQuery = model.stripQuery && !this.#pathHasQuery;
  }

  location(headers: HeaderMap, insertOriginalPath = true): string {
    if (this.#rewrite !== undefined) rewritePath(headers, this.#rewrite, insertOriginalPath);
    const scheme = this.#scheme === '' ? headers.scheme : this.#scheme;
    const host = this.#host === '' ? hostFor(headers, scheme, this.#port !== '') : this.#host;
    let path = headers.path;
    if (this.#path !== '') {
      const query = this.#pathHasQuery ? -1 : path.indexOf('?');
      path = query === -1 ? this.#path : this.#path + path.slice(query);
    }
    if (!path.startsWith('/')) path = `/${path}`;
    if (this.#stripQuery) {
      const query = path.indexOf('?');
      if (query !== -1) path = path.slice(0, query);
    }
    return `${scheme}://${host}${this.#port}${path}`;
  }
}

/** What require_tls answers with. */
export class HttpsRedirect implements RedirectAction {
  readonly kind = 'redirect';
  readonly status = 301;

  location(headers: HeaderMap): string {
    return `https://${headers.authority}${headers.path}`;
  }
}

/** Where a direct response with a status of 201 or 3xx points to: the request's own URL. '' for other statuses. */
export function directResponseLocation(status: number, headers: HeaderMap): string {
  if (status !== 201 && !(status >= 300 && status < 400)) return '';
  const path = headers.path.startsWith('/') ? headers.path : `/${headers.path}`;
  return `${headers.scheme}://${hostFor(headers, headers.scheme, false)}${path}`;
}

/**
 * The request's host for a `location` with `scheme`. Its port falls away where the redirect names one, and where it is
 * the default port of the scheme that is left behind. That scheme is x-forwarded-proto, not `:scheme`.
 */
function hostFor(headers: HeaderMap, scheme: string, hasPort: boolean): string {
  const host = headers.authority;
  const colon = host.startsWith('[') ? host.lastIndexOf(']:') + 1 : host.lastIndexOf(':');
  if (colon === -1 || (colon === 0 && host.startsWith('['))) return host;
  if (hasPort) return host.slice(0, colon);
  const from = headers.get('x-forwarded-proto') ?? '';
  if (from === scheme) return host;
  const port = host.slice(colon);
  const defaultPort = /^https$/i.test(from) ? ':443' : /^http$/i.test(from) ? ':80' : '';
  return port === defaultPort ? host.slice(0, colon) : host;
}
