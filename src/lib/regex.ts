import type { RE2JS } from 're2js';
import { fromWireText, wireText } from './wire-text.ts';
import { compileRe2 } from './re2.ts';

/** A regular expression of a config (RE2 syntax, linear time), tested against header values and paths. */
export interface Regex {
  /** Matches the whole of `text`, which holds one character per byte (latin1). */
  matches(text: string): boolean;
  /** Every match starts with this; '' if nothing is known. */
  readonly literalPrefix: string;
}

/**
 * Compiles `pattern`; throws on bad syntax. What is only a literal, a prefix, a suffix or a substring in disguise
 * (`^/a/b$`, `/a/.*`, `.*\.html`) becomes a string operation, some 50 times cheaper than an automaton.
 */
export function compileRegex(pattern: string): Regex {
  const re2 = compileRe2(pattern);
  const { literal, rest } = splitLiteral(pattern);
  switch (rest) {
    case '':
      return new ExactRegex(literal);
    case '.*':
      return new PrefixRegex(literal, 0);
    case '.+':
      return new PrefixRegex(literal, 1);
  }
  if (literal === '' && /^\.\*[^^]/.test(rest)) {
    const tail = splitLiteral(rest.slice(2));
    if (tail.rest === '') return new SuffixRegex(tail.literal);
    if (tail.rest === '.*') return new SubstringRegex(tail.literal);
  }
  return new Re2Regex(re2, literal);
}

/**
 * Replaces every match of `pattern` as RE2's GlobalReplace does; `\1` in `substitution` stands for a capture group, `\0`
 * for the match. Throws on a regex with bad syntax. A substitution that names a group which isn't there leaves the text
 * alone; one with a bad escape ends at it.
 */
export function compileRegexReplacement(pattern: string, substitution: string): RegexReplacement {
  return new RegexReplacement(compileRe2(pattern), substitution);
}

export class RegexReplacement {
  readonly #re2: RE2JS;
  /** Literals and group numbers, in order. */
  readonly #parts: readonly (string | number)[];
  readonly #valid: boolean;

  constructor(re2: RE2JS, substitution: string) {
    this.#re2 = re2;
    const parts: (string | number)[] = [];
    let literal = '';
    for (let i = 0; i < substitution.length; i++) {
      if (substitution[i] !== '\\') {
        literal += substitution[i]!;
        continue;
      }
      const next = substitution.charCodeAt(++i);
      if (next === 92) literal += '\\';
      else if (next >= 48 && next <= 57) {
        parts.push(literal, next - 48);
        literal = '';
      } else break;
    }
    parts.push(literal);
    this.#parts = parts;
    this.#valid = parts.every((part) => typeof part === 'string' || part <= re2.groupCount());
  }

  /** `text` holds one character per byte. */
  replaceAll(text: string): string {
    if (!this.#valid) return text;
    const input = fromWireText(text);
    const matcher = this.#re2.matcher(input);
    let out = '';
    let at = 0;
    let lastEnd = -1;
    while (at <= input.length && matcher.find(at)) {
      const start = matcher.start();
      const end = matcher.end();
      out += input.slice(at, start);
      if (start === lastEnd && start === end) {
        // No empty match right behind another one: step over one character.
        out += input.slice(start, start + 1);
        at = start + 1;
        continue;
      }
      for (const part of this.#parts) out += typeof part === 'string' ? part : (matcher.group(part) ?? '');
      at = end;
      lastEnd = end;
    }
    return wireText(out + input.slice(at));
  }
}

/** The literal that `pattern` starts with, and what follows it; anchors at both ends, which mean nothing here, fall away. */
function splitLiteral(pattern: string): { literal: string; rest: string } {
  let text = pattern.startsWith('^') ? pattern.slice(1) : pattern;
  if (text.endsWith('$') && !text.endsWith('\\$')) text = text.slice(0, -1);
  if (text.includes('\\Q') || hasTopLevelAlternative(text)) return { literal: '', rest: pattern };
  let literal = '';
  let at = 0;
  while (at < text.length) {
    const char = text[at]!;
    let length = 1;
    let meaning = char;
    if (char === '\\') {
      meaning = text[at + 1] ?? '';
      if (!/[!-/:-@[-`{-~]/.test(meaning)) break;
      length = 2;
    } else if ('.[]()*+?{}|^$'.includes(char)) break;
    // A quantifier takes the last character with it.
    if (/[*+?{]/.test(text[at + length] ?? '')) break;
    literal += meaning;
    at += length;
  }
  return { literal: wireText(literal), rest: text.slice(at) };
}

function hasTopLevelAlternative(pattern: string): boolean {
  let depth = 0;
  let inClass = false;
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i];
    if (char === '\\') i++;
    else if (inClass) inClass = char !== ']';
    else if (char === '[') {
      inClass = true;
      // `[]a]` and `[^]a]` start with a literal bracket.
      if (pattern[i + 1] === '^') i++;
      if (pattern[i + 1] === ']') i++;
    } else if (char === '(') depth++;
    else if (char === ')') depth--;
    else if (char === '|' && depth === 0) return true;
  }
  return false;
}

class ExactRegex implements Regex {
  readonly literalPrefix: string;

  constructor(literal: string) {
    this.literalPrefix = literal;
  }

  matches(text: string): boolean {
    return text === this.literalPrefix;
  }
}

class PrefixRegex implements Regex {
  readonly literalPrefix: string;
  readonly #least: number;

  constructor(literal: string, more: number) {
    this.literalPrefix = literal;
    this.#least = literal.length + more;
  }

  matches(text: string): boolean {
    return text.length >= this.#least && text.startsWith(this.literalPrefix);
  }
}

class SuffixRegex implements Regex {
  readonly literalPrefix = '';
  readonly #literal: string;

  constructor(literal: string) {
    this.#literal = literal;
  }

  matches(text: string): boolean {
    return text.endsWith(this.#literal);
  }
}

class SubstringRegex implements Regex {
  readonly literalPrefix = '';
  readonly #literal: string;

  constructor(literal: string) {
    this.#literal = literal;
  }

  matches(text: string): boolean {
    return text.includes(this.#literal);
  }
}

class Re2Regex implements Regex {
  readonly literalPrefix: string;
  readonly #re2: RE2JS;

  constructor(re2: RE2JS, literalPrefix: string) {
    this.#re2 = re2;
    this.literalPrefix = literalPrefix;
  }

  matches(text: string): boolean {
    return text.startsWith(this.literalPrefix) && this.#re2.testExact(fromWireText(text));
  }
}
