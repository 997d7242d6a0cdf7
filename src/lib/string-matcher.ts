import { compileRegex, type Regex } from './regex.ts';
import { wireText } from './wire-text.ts';

/** A compiled type.matcher.v3.StringMatcher. */
export interface StringMatcher {
  /** `text` holds one character per byte (latin1). */
  matches(text: string): boolean;
}

/** What to match; config/common-model.ts's StringMatcherModel has this shape. */
export type StringMatch =
  | { readonly kind: 'exact' | 'prefix' | 'suffix' | 'contains'; readonly value: string; readonly ignoreCase: boolean }
  | { readonly kind: 'regex'; readonly value: string };

/** Throws on a regex with bad syntax. */
export function compileStringMatcher(match: StringMatch): StringMatcher {
  if (match.kind === 'regex') return compileRegex(match.value) satisfies Regex;
  const value = wireText(match.value);
  const literal = match.ignoreCase ? value.toLowerCase() : value;
  switch (match.kind) {
    case 'exact':
      return new ExactMatcher(literal, match.ignoreCase);
    case 'prefix':
      return new PrefixMatcher(literal, match.ignoreCase);
    case 'suffix':
      return new SuffixMatcher(literal, match.ignoreCase);
    case 'contains':
      return new ContainsMatcher(literal, match.ignoreCase);
  }
}

class ExactMatcher implements StringMatcher {
  readonly #literal: string;
  readonly #ignoreCase: boolean;

  constructor(literal: string, ignoreCase: boolean) {
    this.#literal = literal;
    this.#ignoreCase = ignoreCase;
  }

  matches(text: string): boolean {
    if (text.length !== this.#literal.length) return false;
    return text === this.#literal || (this.#ignoreCase && text.toLowerCase() === this.#literal);
  }
}

class PrefixMatcher implements StringMatcher {
  readonly #literal: string;
  readonly #ignoreCase: boolean;

  constructor(literal: string, ignoreCase: boolean) {
    this.#literal = literal;
    this.#ignoreCase = ignoreCase;
  }

  matches(text: string): boolean {
    return (this.#ignoreCase ? text.toLowerCase() : text).startsWith(this.#literal);
  }
}

class SuffixMatcher implements StringMatcher {
  readonly #literal: string;
  readonly #ignoreCase: boolean;

  constructor(literal: string, ignoreCase: boolean) {
    this.#literal = literal;
    this.#ignoreCase = ignoreCase;
  }

  matches(text: string): boolean {
    return (this.#ignoreCase ? text.toLowerCase() : text).endsWith(this.#literal);
  }
}

class ContainsMatcher implements StringMatcher {
  readonly #literal: string;
  readonly #ignoreCase: boolean;

  constructor(literal: string, ignoreCase: boolean) {
    this.#literal = literal;
    this.#ignoreCase = ignoreCase;
  }

  matches(text: string): boolean {
    return (this.#ignoreCase ? text.toLowerCase() : text).includes(this.#literal);
  }
}
