import type { HeaderMatcherModel } from '../../../config/route-model.ts';
import { compileStringMatcher, type StringMatcher } from '../../../lib/string-matcher.ts';
import type { HeaderMap } from '../../http/headers.ts';

/** A compiled route.v3.HeaderMatcher. */
export class HeaderMatcher {
  readonly #name: string;
  readonly #test: ValueTest | undefined;
  readonly #present: boolean;
  readonly #invert: boolean;
  readonly #treatMissingAsEmpty: boolean;

  constructor(model: HeaderMatcherModel) {
    // `host` is an alias of `:authority`, as in Envoy.
    this.#name = model.name === 'host' ? ':authority' : model.name;
    this.#invert = model.invert;
    this.#treatMissingAsEmpty = model.treatMissingAsEmpty;
    const { match } = model;
    this.#present = match.kind === 'present' && match.present;
    if (match.kind === 'string') this.#test = compileStringMatcher(match.matcher);
    else this.#test = match.kind === 'range' ? new RangeTest(match.start, match.end) : undefined;
  }

  /** Several fields of one name are matched as one value, joined with ','. */
  matches(headers: HeaderMap): boolean {
    const value = joinedValue(headers, this.#name);
    const test = this.#test;
    if (test === undefined)
      return (value !== undefined || this.#treatMissingAsEmpty) === (this.#present !== this.#invert);
    // An absent header matches nothing, inverted or not.
    if (value === undefined && !this.#treatMissingAsEmpty) return false;
    return test.matches(value ?? '') !== this.#invert;
  }
}

interface ValueTest extends StringMatcher {}

const integer = /^\s*[+-]?\d+\s*$/;

/** start <= value < end. */
class RangeTest implements ValueTest {
  readonly #start: number;
  readonly #end: number;

  constructor(start: number, end: number) {
    this.#start = start;
    this.#end = end;
  }

  matches(text: string): boolean {
    if (!integer.test(text)) return false;
    const value = Number(text);
    return value >= this.#start && value < this.#end;
  }
}

/** The value of `name`, all fields of it joined with ','; undefined if there is none. */
export function joinedValue(headers: HeaderMap, name: string): string | undefined {
  if (name.charCodeAt(0) === 58) return headers.get(name);
  const { names, values } = headers;
  let at = names.indexOf(name);
  if (at === -1) return undefined;
  let value = values[at]!;
  while ((at = names.indexOf(name, at + 1)) !== -1) value += `,${values[at]!}`;
  return value;
}

export function matchesAll(matchers: readonly HeaderMatcher[], headers: HeaderMap): boolean {
  for (let i = 0; i < matchers.length; i++) if (!matchers[i]!.matches(headers)) return false;
  return true;
}
