import { compileStringMatcher, type StringMatch, type StringMatcher } from '../lib/string-matcher.ts';
import { percentDecode } from '../lib/percent-decode.ts';
import { wireText } from '../lib/wire-text.ts';

/** What route.v3.QueryParameterMatcher asks for. */
export interface QueryParameterMatch {
  readonly name: string;
  readonly match:
    | { readonly kind: 'present'; readonly present: boolean }
    | { readonly kind: 'string'; readonly matcher: StringMatch };
}

/** A compiled route.v3.QueryParameterMatcher. Routes compare names and values as they stand, not percent-decoded. */
export class QueryParameterMatcher {
  readonly #name: string;
  /** Undefined: the parameter only has to be there. */
  readonly #matcher: StringMatcher | undefined;
  readonly #present: boolean;

  constructor(model: QueryParameterMatch) {
    this.#name = wireText(model.name);
    this.#matcher = model.match.kind === 'string' ? compileStringMatcher(model.match.matcher) : undefined;
    this.#present = model.match.kind === 'string' || model.match.present;
  }

  /** `path` is `:path`, query included. Of several parameters with this name the first counts. `decoded`: its value is. */
  matches(path: string, decoded = false): boolean {
    const raw = firstQueryParameter(path, this.#name);
    const value = decoded && raw !== undefined ? percentDecode(raw) : raw;
    if (value === undefined) return !this.#present;
    return this.#matcher === undefined ? this.#present : this.#matcher.matches(value);
  }
}

/** The first value of `name` in the query of `path`; '' where it has none; undefined if it isn't there. */
export function firstQueryParameter(path: string, name: string): string | undefined {
  let at = path.indexOf('?') + 1;
  if (at === 0) return undefined;
  while (at < path.length) {
    let end = path.indexOf('&', at);
    if (end === -1) end = path.length;
    const nameEnd = at + name.length;
    if (nameEnd <= end && path.startsWith(name, at)) {
      if (nameEnd === end) return '';
      if (path.charCodeAt(nameEnd) === 61) return path.slice(nameEnd + 1, end);
    }
    at = end + 1;
  }
  return undefined;
}
