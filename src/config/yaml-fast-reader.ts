import type { ConfigNode, MapEntry } from '../api/config-node.ts';
import { resolvePlainScalar } from './yaml-scalar.ts';

/** Thrown inside only, to give up. */
const GIVE_UP = Symbol('give up');
const MAX_DEPTH = 150;
/** From this many keys on, a map is searched by a set. */
const LARGE = 64;

const TAB = 0x09;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const QUOTE = 0x22;
const HASH = 0x23;
const APOSTROPHE = 0x27;
const COMMA = 0x2c;
const DASH = 0x2d;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const PIPE = 0x7c;
const OPEN_MAP = 0x7b;
const CLOSE_MAP = 0x7d;

/** What a plain scalar cannot start with here: indicators, and the starts of tags, anchors and aliases. */
const NOT_PLAIN: ReadonlySet<number> = new Set(Array.from('!&*|>%@`"\'#,[]{}?', (c) => c.charCodeAt(0)));

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '"': '"',
  '\\': '\\',
  '/': '/',
  '0': '\0',
};

/**
 * Reads the style of YAML that configs are written in (block maps and lists, flow collections, scalars on one line,
 * literal blocks, comments) some twenty times faster than the complete reader: a file with 10,000 clusters has seven
 * megabytes. It never guesses: at any other construct, and at any error, it gives up, and the complete reader
 * decides. What it does accept it reads exactly as that one does (a property test holds them together).
 */
export class YamlFastReader {
  readonly #text: string;
  #at = 0;
  /** The column of the content at `#at`, when a line (or the inside of a `- `) has just been entered. */
  #column = 0;
  readonly #keysOfLarge = new Map<MapEntry[], Set<string>>();

  constructor(text: string) {
    this.#text = text;
  }

  /** The tree, or undefined for a text that this reader does not handle. */
  read(): ConfigNode | undefined {
    // Line ends other than \n, the byte order mark and unprintable characters have rules of their own.
    // eslint-disable-next-line no-control-regex
    if (/[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/.test(this.#text)) return undefined;
    try {
      return this.#document();
    } catch (error) {
      if (error === GIVE_UP) return undefined;
      throw error;
    }
  }

  #document(): ConfigNode {
    if (!this.#enterLine()) return giveUp();
    if (this.#column === 0 && this.#text.startsWith('---', this.#at)) {
      this.#at += 3;
      this.#endLine();
      if (!this.#enterLine()) return giveUp();
    }
    // Only an object makes sense as a config; anything else gets its message from the complete reader.
    if (this.#isDash() || !this.#isKeyAhead()) return giveUp();
    const root = this.#map(this.#column, 0);
    return this.#at < this.#text.length ? giveUp() : root;
  }

  /**
   * Moves to the first character of the next line that has content, and sets `#column`. False at the end of the
   * text. Starts at the start of a line.
   */
  #enterLine(): boolean {
    const text = this.#text;
    for (;;) {
      const start = this.#at;
      let at = start;
      while (text.charCodeAt(at) === SPACE) at++;
      if (at >= text.length) {
        this.#at = at;
        this.#column = -1;
        return false;
      }
      const code = text.charCodeAt(at);
      if (code === NEWLINE) {
        this.#at = at + 1;
        continue;
      }
      if (code === TAB) return giveUp();
      if (code === HASH) {
        const end = text.indexOf('\n', at);
        this.#at = end === -1 ? text.length : end + 1;
        continue;
      }
      this.#at = at;
      this.#column = at - start;
      // Document markers: `...`, or a second `---`.
      if (this.#column === 0 && (text.startsWith('...', at) || (text.startsWith('---', at) && start > 0)))
        return text.startsWith('---', at) && this.#isFirstContent(start) ? true : giveUp();
      return true;
    }
  }

  /** True if nothing but blanks and comments stands before `start`. */
  #isFirstContent(start: number): boolean {
    return /^(?:\s*(?:#[^\n]*)?\n)*$/.test(this.#text.slice(0, start));
  }

  /** After a value: only blanks and a comment may follow on its line. Moves to the start of the next one. */
  #endLine(): void {
    const text = this.#text;
    const from = this.#at;
    while (text.charCodeAt(this.#at) === SPACE) this.#at++;
    if (this.#at >= text.length) return;
    const code = text.charCodeAt(this.#at);
    if (code === NEWLINE) {
      this.#at++;
      return;
    }
    if (code !== HASH || this.#at === from) giveUp();
    const end = text.indexOf('\n', this.#at);
    this.#at = end === -1 ? text.length : end + 1;
  }

  /** At the rest of a line after `:` or `-`: true if nothing but a comment is left of it. */
  #isLineEmpty(): boolean {
    const text = this.#text;
    let at = this.#at;
    while (text.charCodeAt(at) === SPACE) at++;
    const code = text.charCodeAt(at);
    return at >= text.length || code === NEWLINE || (code === HASH && at > this.#at);
  }

  #isDash(): boolean {
    if (this.#text.charCodeAt(this.#at) !== DASH) return false;
    const next = this.#text.charCodeAt(this.#at + 1);
    return next === SPACE || next === NEWLINE || this.#at + 1 === this.#text.length;
  }

  /** True if this line's content starts with `key:`. */
  #isKeyAhead(): boolean {
    const text = this.#text;
    const first = text.charCodeAt(this.#at);
    let at = this.#at;
    if (first === QUOTE || first === APOSTROPHE) {
      at = text.indexOf(text[at]!, at + 1) + 1;
      if (at === 0) return giveUp();
    } else {
      for (; at < text.length; at++) {
        const code = text.charCodeAt(at);
        if (code === NEWLINE) return false;
        if (code === HASH && text.charCodeAt(at - 1) === SPACE) return false;
        if (code === COLON && isBlank(text.charCodeAt(at + 1))) return true;
      }
      return false;
    }
    return text.charCodeAt(at) === COLON && isBlank(text.charCodeAt(at + 1));
  }

  /** A block node whose first line has just been entered, at `#column`. */
  #block(depth: number): ConfigNode {
    if (depth > MAX_DEPTH) giveUp();
    if (this.#isDash()) return this.#list(this.#column, depth);
    const first = this.#text.charCodeAt(this.#at);
    if (first !== OPEN_MAP && first !== OPEN_LIST && this.#isKeyAhead()) return this.#map(this.#column, depth);
    return this.#inline(this.#column - 1, depth);
  }

  #list(column: number, depth: number): ConfigNode {
    const offset = this.#at;
    const items: ConfigNode[] = [];
    do {
      if (!this.#isDash()) giveUp();
      this.#at++;
      if (this.#isLineEmpty()) items.push(this.#below(column, depth, false));
      else {
        const from = this.#at;
        while (this.#text.charCodeAt(this.#at) === SPACE) this.#at++;
        this.#column = column + 1 + this.#at - from;
        // Of a node on the line of its dash, only the first line is there; it must be a node of its own.
        items.push(this.#isDash() || this.#isKeyAheadHere() ? this.#block(depth + 1) : this.#inline(column, depth + 1));
      }
    } while (this.#column === column && this.#isDash());
    if (this.#column > column) giveUp();
    return { kind: 'list', items, offset };
  }

  #isKeyAheadHere(): boolean {
    const first = this.#text.charCodeAt(this.#at);
    return first !== OPEN_MAP && first !== OPEN_LIST && this.#isKeyAhead();
  }

  #map(column: number, depth: number): ConfigNode {
    const offset = this.#at;
    const entries: MapEntry[] = [];
    do {
      const keyOffset = this.#at;
      const key = this.#key();
      if (this.#text.charCodeAt(this.#at) !== COLON) giveUp();
      this.#at++;
      if (!isBlank(this.#text.charCodeAt(this.#at))) giveUp();
      const value = this.#isLineEmpty() ? this.#below(column, depth, true) : this.#inlineAfterBlanks(column, depth + 1);
      this.#addEntry(entries, key, keyOffset, value);
    } while (this.#column === column && !this.#isDash());
    if (this.#column > column) giveUp();
    return { kind: 'map', entries, offset };
  }

  /** The value that starts on a line below its key or dash; null if the next content is no deeper. */
  #below(column: number, depth: number, ofKey: boolean): ConfigNode {
    const offset = this.#at;
    this.#endLine();
    if (!this.#enterLine() || this.#column < column) return { kind: 'scalar', value: null, offset };
    if (this.#column > column) return this.#block(depth + 1);
    // A list may stand at the column of the key that it belongs to.
    return ofKey && this.#isDash() ? this.#list(column, depth + 1) : { kind: 'scalar', value: null, offset };
  }

  #inlineAfterBlanks(column: number, depth: number): ConfigNode {
    while (this.#text.charCodeAt(this.#at) === SPACE) this.#at++;
    return this.#inline(column, depth);
  }

  /** A value on its key's line, in a block deeper than `column`. Leaves the next line entered. */
  #inline(column: number, depth: number): ConfigNode {
    if (depth > MAX_DEPTH) giveUp();
    const code = this.#text.charCodeAt(this.#at);
    if (code === PIPE) return this.#literalBlock(column);
    const node = this.#flowOrScalar(code, false, depth);
    this.#endLine();
    // A deeper line would continue a plain scalar.
    if (this.#enterLine() && this.#column > column) giveUp();
    return node;
  }

  #flowOrScalar(code: number, inFlow: boolean, depth: number): ConfigNode {
    const offset = this.#at;
    switch (code) {
      case OPEN_MAP:
        return this.#flowMap(depth);
      case OPEN_LIST:
        return this.#flowList(depth);
      case QUOTE:
        return { kind: 'scalar', value: this.#doubleQuoted(), offset };
      case APOSTROPHE:
        return { kind: 'scalar', value: this.#singleQuoted(), offset };
      default:
        return resolvePlainScalar(this.#plain(inFlow), offset);
    }
  }

  /** Leaves `#at` behind the key, at the colon. */
  #key(): string {
    const code = this.#text.charCodeAt(this.#at);
    if (code === QUOTE) return this.#doubleQuoted();
    if (code === APOSTROPHE) return this.#singleQuoted();
    const key = this.#plain(false, true);
    if (key === '~' || key === '<<' || key === '') giveUp();
    return key;
  }

  /** A plain scalar on this line; of a key, what stands before its colon. */
  #plain(inFlow: boolean, isKey = false): string {
    const text = this.#text;
    const start = this.#at;
    const first = text.charCodeAt(start);
    if (NOT_PLAIN.has(first) || first === TAB) giveUp();
    if ((first === DASH || first === COLON) && (isBlank(text.charCodeAt(start + 1)) || inFlow)) {
      // In a flow collection `-1` is fine, and anything else that starts so is unusual.
      if (first === COLON || !isDigit(text.charCodeAt(start + 1))) giveUp();
    }
    let at = start;
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === NEWLINE) break;
      if (code === TAB) giveUp();
      if (code === HASH && text.charCodeAt(at - 1) === SPACE) break;
      if (code === COLON) {
        const next = text.charCodeAt(at + 1);
        if (isBlank(next)) {
          if (isKey || inFlow) break;
          giveUp();
        }
        if (inFlow && isFlowIndicator(next)) giveUp();
      }
      if (inFlow && isFlowIndicator(code)) break;
    }
    this.#at = at;
    while (at > start && text.charCodeAt(at - 1) === SPACE) at--;
    // A key may have blanks before its colon, which is rare enough to leave to the complete reader.
    if (isKey && at !== this.#at) giveUp();
    return text.slice(start, at);
  }

  #singleQuoted(): string {
    const text = this.#text;
    const start = this.#at + 1;
    let at = start;
    let doubled = false;
    for (;;) {
      at = text.indexOf("'", at);
      if (at === -1) return giveUp();
      if (text.charCodeAt(at + 1) !== APOSTROPHE) break;
      doubled = true;
      at += 2;
    }
    const value = text.slice(start, at);
    if (value.includes('\n')) giveUp();
    this.#at = at + 1;
    return doubled ? value.replaceAll("''", "'") : value;
  }

  #doubleQuoted(): string {
    const text = this.#text;
    const start = this.#at + 1;
    let from = start;
    let value = '';
    for (let at = start; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === NEWLINE) return giveUp();
      if (code === QUOTE) {
        this.#at = at + 1;
        return value + text.slice(from, at);
      }
      if (code !== BACKSLASH) continue;
      const escaped = ESCAPES[text[at + 1] ?? ''];
      if (escaped === undefined) return giveUp();
      value += text.slice(from, at) + escaped;
      at++;
      from = at + 1;
    }
    return giveUp();
  }

  /** `|`, `|-` or `|+` with a text whose indentation is that of its first line. */
  #literalBlock(column: number): ConfigNode {
    const text = this.#text;
    const offset = this.#at;
    this.#at++;
    const chomp = text[this.#at];
    if (chomp === '-' || chomp === '+') this.#at++;
    this.#endLine();
    const lines: string[] = [];
    let indent = -1;
    while (this.#at < text.length) {
      const start = this.#at;
      const newline = text.indexOf('\n', start);
      const end = newline === -1 ? text.length : newline;
      let at = start;
      while (at < end && text.charCodeAt(at) === SPACE) at++;
      if (at === end) {
        // A blank line with more blanks than the indentation has content, or an error.
        if (indent === -1 ? at > start : at - start > indent) giveUp();
        lines.push('');
      } else {
        if (at - start <= column) break;
        if (indent === -1) indent = at - start;
        if (at - start < indent || text.charCodeAt(at) === TAB) giveUp();
        lines.push(text.slice(start + indent, end));
      }
      if (newline === -1) giveUp();
      this.#at = newline + 1;
    }
    if (indent === -1) giveUp();
    let last = lines.length;
    while (last > 0 && lines[last - 1] === '') last--;
    const kept = chomp === '+' ? lines : lines.slice(0, last);
    const value = kept.join('\n') + (chomp === '-' ? '' : '\n');
    this.#enterLine();
    return { kind: 'scalar', value, offset };
  }

  /** Blanks, line ends and comments between the parts of a flow collection. */
  #flowBlanks(): number {
    const text = this.#text;
    for (;;) {
      const code = text.charCodeAt(this.#at);
      if (code === NEWLINE) {
        // What stands at the start of a line may be a document marker; a comment follows a blank.
        const next = text.charCodeAt(this.#at + 1);
        if (next !== SPACE && next !== NEWLINE) giveUp();
        this.#at++;
      } else if (code === SPACE) this.#at++;
      else if (code === HASH) {
        if (text.charCodeAt(this.#at - 1) !== SPACE) giveUp();
        const end = text.indexOf('\n', this.#at);
        if (end === -1) giveUp();
        this.#at = end;
      } else if (code === TAB || Number.isNaN(code)) return giveUp();
      else return code;
    }
  }

  /** A key that is there twice is for the complete reader to report. */
  #addEntry(entries: MapEntry[], key: string, offset: number, value: ConfigNode): void {
    if (entries.length < LARGE) {
      for (const entry of entries) if (entry.key === key) giveUp();
    } else {
      let keys = this.#keysOfLarge.get(entries);
      if (keys === undefined) {
        keys = new Set(entries.map((entry) => entry.key));
        this.#keysOfLarge.set(entries, keys);
      }
      if (keys.has(key)) giveUp();
      keys.add(key);
    }
    entries.push({ key, offset, value });
  }

  #flowList(depth: number): ConfigNode {
    if (depth > MAX_DEPTH) giveUp();
    const offset = this.#at++;
    const items: ConfigNode[] = [];
    for (;;) {
      const code = this.#flowBlanks();
      if (code === CLOSE_LIST) {
        this.#at++;
        return { kind: 'list', items, offset };
      }
      items.push(this.#flowOrScalar(code, true, depth + 1));
      if (this.#flowBlanks() === COMMA) this.#at++;
      else if (this.#text.charCodeAt(this.#at) !== CLOSE_LIST) giveUp();
    }
  }

  #flowMap(depth: number): ConfigNode {
    if (depth > MAX_DEPTH) giveUp();
    const offset = this.#at++;
    const entries: MapEntry[] = [];
    for (;;) {
      const code = this.#flowBlanks();
      if (code === CLOSE_MAP) {
        this.#at++;
        return { kind: 'map', entries, offset };
      }
      const keyOffset = this.#at;
      const quoted = code === QUOTE || code === APOSTROPHE;
      const key = quoted ? this.#key() : this.#plain(true);
      if (!quoted && (key === '' || key === '~' || key === '<<')) giveUp();
      if (this.#text.charCodeAt(this.#at) !== COLON) giveUp();
      this.#at++;
      // Behind a quoted key the value may follow at once, as in JSON.
      if (!quoted && !isBlank(this.#text.charCodeAt(this.#at))) giveUp();
      const first = this.#flowBlanks();
      if (first === COMMA || first === CLOSE_MAP) giveUp();
      this.#addEntry(entries, key, keyOffset, this.#flowOrScalar(first, true, depth + 1));
      if (this.#flowBlanks() === COMMA) this.#at++;
      else if (this.#text.charCodeAt(this.#at) !== CLOSE_MAP) giveUp();
    }
  }
}

function giveUp(): never {
  // oxlint-disable-next-line no-throw-literal -- caught by read(); an Error would cost a stack trace
  throw GIVE_UP;
}

function isBlank(code: number): boolean {
  return code === SPACE || code === NEWLINE || Number.isNaN(code);
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

function isFlowIndicator(code: number): boolean {
  return code === COMMA || code === OPEN_LIST || code === CLOSE_LIST || code === OPEN_MAP || code === CLOSE_MAP;
}
