import type { ConfigNode, MapEntry } from './config-node.ts';

/** A text that is not what it should be. `offset` counts UTF-16 units. */
export interface SyntaxProblem {
  readonly message: string;
  readonly offset: number;
}

/** As protobuf's JSON parser. */
const MAX_DEPTH = 100;

/**
 * Reads a JSON text into a tree, with what Envoy's parser tolerates: single quotes, bare keys, a comma after the
 * last item, control characters in strings. Stops at the first problem: what follows a syntax error is guesswork.
 */
export function parseJsonText(text: string): {
  readonly root?: ConfigNode;
  readonly problems: readonly SyntaxProblem[];
} {
  const parser = new JsonParser(text);
  const root = parser.parse();
  return root === undefined ? { problems: [parser.problem!] } : { root, problems: [] };
}

class JsonParser {
  problem: SyntaxProblem | undefined;
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): ConfigNode | undefined {
    if (this.#text.charCodeAt(0) === 0xfeff) this.#at = 1;
    const root = this.#value(0);
    if (root === undefined) return undefined;
    this.#blank();
    return this.#at < this.#text.length ? this.#fail('nothing can follow the end of the JSON value') : root;
  }

  #fail(message: string, offset = this.#at): undefined {
    this.problem ??= { message, offset };
    return undefined;
  }

  #unexpected(expected: string): undefined {
    const found = this.#text[this.#at];
    return this.#fail(
      found === undefined ? `the text ends where ${expected} is expected` : `expected ${expected}, found '${found}'`,
    );
  }

  #blank(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  /** True if this character comes next; takes it. */
  #take(character: string): boolean {
    this.#blank();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #value(depth: number): ConfigNode | undefined {
    this.#blank();
    const offset = this.#at;
    if (depth > MAX_DEPTH) return this.#fail(`nested deeper than ${MAX_DEPTH} levels`);
    switch (this.#text[offset]) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      case '"':
      case "'": {
        const value = this.#string();
        return value === undefined ? undefined : { kind: 'scalar', value, offset };
      }
      default:
        return this.#literal();
    }
  }

  #object(depth: number): ConfigNode | undefined {
    const offset = this.#at++;
    const entries: MapEntry[] = [];
    const seen = new Set<string>();
    while (!this.#take('}')) {
      if (entries.length > 0 && !this.#take(',')) return this.#unexpected("',' or '}'");
      if (entries.length > 0 && this.#take('}')) break;
      this.#blank();
      const keyOffset = this.#at;
      const key = this.#key();
      if (key === undefined) return undefined;
      if (seen.has(key)) return this.#fail(`the key '${key}' is there twice`, keyOffset);
      seen.add(key);
      if (!this.#take(':')) return this.#unexpected("':'");
      const value = this.#value(depth + 1);
      if (value === undefined) return undefined;
      entries.push({ key, offset: keyOffset, value });
    }
    return { kind: 'map', entries, offset };
  }

  #key(): string | undefined {
    const first = this.#text[this.#at];
    if (first === '"' || first === "'") return this.#string();
    const bare = /[A-Za-z_$][\w$]*/y;
    bare.lastIndex = this.#at;
    const match = bare.exec(this.#text);
    if (match === null) return this.#unexpected('a key in quotes');
    this.#at += match[0].length;
    return match[0];
  }

  #array(depth: number): ConfigNode | undefined {
    const offset = this.#at++;
    const items: ConfigNode[] = [];
    while (!this.#take(']')) {
      if (items.length > 0 && !this.#take(',')) return this.#unexpected("',' or ']'");
      if (items.length > 0 && this.#take(']')) break;
      const value = this.#value(depth + 1);
      if (value === undefined) return undefined;
      items.push(value);
    }
    return { kind: 'list', items, offset };
  }

  #string(): string | undefined {
    const quote = this.#text[this.#at]!;
    const start = this.#at + 1;
    let from = start;
    let value = '';
    for (let at = start; at < this.#text.length; at++) {
      const character = this.#text[at];
      if (character === quote) {
        this.#at = at + 1;
        value += this.#text.slice(from, at);
        return value.isWellFormed() ? value : this.#fail('the string is not valid Unicode', start - 1);
      }
      if (character !== '\\') continue;
      value += this.#text.slice(from, at);
      const escaped = this.#text[at + 1] ?? '';
      if (escaped === 'u') {
        const digits = this.#text.slice(at + 2, at + 6);
        if (!/^[0-9a-fA-F]{4}$/.test(digits)) return this.#fail('\\u is not followed by four hexadecimal digits', at);
        value += String.fromCharCode(Number.parseInt(digits, 16));
        at += 5;
      } else {
        const plain = ESCAPES[escaped];
        if (plain === undefined) return this.#fail(`unknown escape '\\${escaped}'`, at);
        value += plain;
        at += 1;
      }
      from = at + 1;
    }
    return this.#fail('the string has no end', start - 1);
  }

  #literal(): ConfigNode | undefined {
    const offset = this.#at;
    const word = /[A-Za-z]+|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])/y;
    word.lastIndex = offset;
    const match = word.exec(this.#text)?.[0];
    if (match === undefined) return this.#unexpected('a value');
    this.#at += match.length;
    if (match === 'true' || match === 'false') return { kind: 'scalar', value: match === 'true', offset };
    if (match === 'null') return { kind: 'scalar', value: null, offset };
    const value = Number(match);
    if (Number.isNaN(value)) return this.#fail(`expected a value, found '${match}'`, offset);
    return Number.isSafeInteger(value)
      ? { kind: 'scalar', value, offset }
      : { kind: 'scalar', value, digits: match, offset };
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "'": "'",
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};
