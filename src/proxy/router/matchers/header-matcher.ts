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

  /** Of several fields with one name each is tested by itself; one that passes is enough. */
  matches(headers: HeaderMap): boolean {
    const test = this.#test;
    const name = this.#name;
    if (name.charCodeAt(0) === 58) {
      const value = headers.get(name);
      if (value === undefined) return this.#matchesAbsent();
      return (test === undefined ? this.#present : test.matches(value)) !== this.#invert;
    }
    const { names, values } = headers;
    let at = names.indexOf(name);
    if (at === -1) return this.#matchesAbsent();
    if (test === undefined) return this.#present !== this.#invert;
    do {
      if (test.matches(values[at]!)) return !this.#invert;
      at = names.indexOf(name, at + 1);
    } while (at !== -1);
    return this.#invert;
  }

  /** An absent header matches nothing, inverted or not, unless it stands for an empty one. */
  #matchesAbsent(): boolean {
    if (this.#test === undefined) return this.#treatMissingAsEmpty === (this.#present !== this.#invert);
    return this.#treatMissingAsEmpty && this.#test.matches('') !== this.#invert;
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

/** All of the matchers have to hold. */
export function matchesAll(matchers: readonly HeaderMatcher[], headers: HeaderMap): boolean {
  for (let i = 0; i < matchers.length; i++) if (!matchers[i]!.matches(headers)) return false;
  return true;
}
