import type { HostRewriteModel, PathRewriteModel, RouteMatchModel } from '../../config/route-model.ts';
import { compileRegexReplacement, type RegexReplacement } from '../../lib/regex.ts';
import {
  compileUriTemplate,
  compileUriTemplateRewrite,
  type UriTemplate,
  type UriTemplateRewrite,
} from '../../lib/uri-template.ts';
import { wireText } from '../../lib/wire-text.ts';
import type { HeaderMap } from '../http/headers.ts';

/** Where query or fragment begins in `path`, or its length. */
export function pathEnd(path: string): number {
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code === 63 || code === 35) return i;
  }
  return path.length;
}

/** A compiled prefix_rewrite, regex_rewrite or path_rewrite_policy, of a route or of a redirect. */
export interface PathRewrite {
  /** The new `:path`, with the query that `path` has. */
  rewrite(path: string): string;
}

export function compilePathRewrite(model: PathRewriteModel, match: RouteMatchModel): PathRewrite {
  switch (model.kind) {
    case 'prefix': {
      const { path } = match;
      const whole = path.kind === 'regex' || path.kind === 'connect' || path.kind === 'uri-template';
      return new PrefixRewrite(wireText(model.value), whole ? -1 : wireText(path.value).length);
    }
    case 'regex':
      return new RegexRewrite(compileRegexReplacement(model.rewrite.regex, model.rewrite.substitution));
    case 'uri-template': {
      const template = match.path.kind === 'uri-template' ? match.path.value : '';
      return new TemplateRewrite(compileUriTemplate(template), compileUriTemplateRewrite(model.value, template));
    }
  }
}

/** Replaces what the route matched; -1 = the whole path without its query. */
class PrefixRewrite implements PathRewrite {
  readonly #value: string;
  readonly #matched: number;

  constructor(value: string, matched: number) {
    this.#value = value;
    this.#matched = matched;
  }

  rewrite(path: string): string {
    return this.#value + path.slice(this.#matched === -1 ? pathEnd(path) : this.#matched);
  }
}

class RegexRewrite implements PathRewrite {
  readonly #replacement: RegexReplacement;

  constructor(replacement: RegexReplacement) {
    this.#replacement = replacement;
  }

  rewrite(path: string): string {
    const end = pathEnd(path);
    return this.#replacement.replaceAll(path.slice(0, end)) + path.slice(end);
  }
}

class TemplateRewrite implements PathRewrite {
  readonly #template: UriTemplate;
  readonly #rewrite: UriTemplateRewrite;

  constructor(template: UriTemplate, rewrite: UriTemplateRewrite) {
    this.#template = template;
    this.#rewrite = rewrite;
  }

  /** Where the path no longer matches (a filter changed it), it stays as it is. */
  rewrite(path: string): string {
    const end = pathEnd(path);
    const rewritten = this.#template.rewrite(path.slice(0, end), this.#rewrite);
    return rewritten === undefined ? path : rewritten + path.slice(end);
  }
}

/** Applies `rewrite` to `:path`; what stood there goes to `x-envoy-original-path` if `insertOriginalPath`. */
export function rewritePath(headers: HeaderMap, rewrite: PathRewrite, insertOriginalPath: boolean): void {
  const path = rewrite.rewrite(headers.path);
  if (insertOriginalPath) headers.set('x-envoy-original-path', headers.path);
  headers.path = path;
}

/** A compiled host rewrite of a route, but for auto_host_rewrite, which the router does once it has a host. */
export class HostRewrite {
  readonly #literal: string;
  readonly #header: string;
  readonly #pathRegex: RegexReplacement | undefined;

  private constructor(literal: string, header: string, pathRegex: RegexReplacement | undefined) {
    this.#literal = literal;
    this.#header = header;
    this.#pathRegex = pathRegex;
  }

  static of(model: HostRewriteModel | undefined): HostRewrite | undefined {
    switch (model?.kind) {
      case 'literal':
        return new HostRewrite(wireText(model.value), '', undefined);
      case 'header':
        return new HostRewrite('', model.name, undefined);
      case 'path-regex':
        return new HostRewrite('', '', compileRegexReplacement(model.rewrite.regex, model.rewrite.substitution));
      default:
        return undefined;
    }
  }

  /** The new `:authority`; '' = leave it. */
  host(headers: HeaderMap): string {
    if (this.#literal !== '') return this.#literal;
    if (this.#header !== '') return headers.get(this.#header) ?? '';
    return this.#pathRegex?.replaceAll(headers.path.slice(0, pathEnd(headers.path))) ?? '';
  }
}

/**
 * Sets `:authority`. The old one is appended to `x-forwarded-host` (unless it is its last entry already) if
 * `appendXForwardedHost`, and kept in `x-envoy-original-host` if `keepOriginal`.
 */
export function updateAuthority(
  headers: HeaderMap,
  host: string,
  appendXForwardedHost: boolean,
  keepOriginal: boolean,
): void {
  const old = headers.authority;
  if (keepOriginal) headers.set('x-envoy-original-host', old);
  if (keepOriginal) headers.set('x-envoy-original-host', old);
  if (appendXForwardedHost && old !== '') {
    const forwarded = headers.get('x-forwarded-host') ?? '';
    if (forwarded === '') headers.set('x-forwarded-host', old);
    else {
      const entries = forwarded.split(',').filter((entry) => entry !== '');
      if (entries.length > 0 && entries.at(-1) !== old) headers.set('x-forwarded-host', `${forwarded},${old}`);
    }
  }
  headers.authority = host;
}
