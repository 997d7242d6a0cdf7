import type { RE2JS } from 're2js';
import { fromWireText, wireText } from './wire-text.ts';
import { compileRe2 } from './re2.ts';

/**
 * Envoy's URI templates (`/a/{name}/*`, `/files/{rest=**}`, `/v{version}.json`): at most five variables, `*` for one
 * path segment, `**` for any number of them, nothing globbed after `**`. A variable may stand between literals, a
 * wildcard only before one, at the end. A `*` inside a literal repeats the character before it, since Envoy hands
 * literals on to its regex.
 */
export interface UriTemplate {
  /** Every path that matches starts with this. */
  readonly literalPrefix: string;
  matches(path: string): boolean;
  /** The rewritten path; undefined if `path` does not match. */
  rewrite(path: string, rewrite: UriTemplateRewrite): string | undefined;
}

/** Literals, and the names of variables in objects. */
export type UriTemplateRewrite = readonly (string | { readonly variable: string })[];

const LITERAL = "a-zA-Z0-9-._~%!$&'()+,;:@=*";
const literalText = new RegExp(`^[${LITERAL}]+$`);
const rewriteLiteralText = new RegExp(`^[${LITERAL}/]+$`);
const variableName = /^[a-zA-Z][a-zA-Z0-9_]*$/;
const ONE_SEGMENT = `[${LITERAL}]+`;
const ANY_SEGMENTS = `[${LITERAL}/]*`;

/** Throws an Error that says what is wrong with `template`. */
export function compileUriTemplate(template: string): UriTemplate {
  return new CompiledTemplate(new TemplateParser(template));
}

/** Parses the rewrite pattern that goes with `template`; throws where it is malformed or names an unknown variable. */
export function compileUriTemplateRewrite(pattern: string, template: string): UriTemplateRewrite {
  if (!pattern.startsWith('/')) throw new Error('Invalid rewrite variable placement');
  if (pattern.includes('//')) throw new Error('Invalid rewrite literal');
  const { variables } = new TemplateParser(template);
  const parts: (string | { variable: string })[] = [];
  let rest = pattern;
  while (rest !== '') {
    const open = rest.indexOf('{');
    const literal = open === -1 ? rest : rest.slice(0, open);
    if (literal !== '') {
      if (!rewriteLiteralText.test(literal)) throw new Error('Invalid rewrite literal pattern');
      parts.push(literal);
    }
    if (open === -1) break;
    const close = rest.indexOf('}', open);
    if (close === -1) throw new Error('Unmatched variable bracket');
    const variable = rest.slice(open + 1, close);
    if (!variableName.test(variable)) throw new Error('Invalid variable name');
    if (!variables.has(variable)) throw new Error('Nonexisting variable name');
    parts.push({ variable });
    rest = rest.slice(close + 1);
  }
  return parts;
}

class CompiledTemplate implements UriTemplate {
  readonly literalPrefix: string;
  /** Undefined: the literals make no regex (`/a**`), so nothing matches. */
  readonly #regex: RE2JS | undefined;

  constructor(parsed: TemplateParser) {
    this.literalPrefix = parsed.literalPrefix;
    this.#regex = compile(parsed.regex);
  }

  matches(path: string): boolean {
    return (
      path.startsWith(this.literalPrefix) && this.#regex !== undefined && this.#regex.testExact(fromWireText(path))
    );
  }

  rewrite(path: string, rewrite: UriTemplateRewrite): string | undefined {
    const matcher = this.#regex?.matcher(fromWireText(path));
    if (matcher === undefined || !matcher.matches()) return undefined;
    let out = '';
    for (const part of rewrite) out += typeof part === 'string' ? part : (matcher.group(part.variable) ?? '');
    return wireText(out);
  }
}

function compile(regex: string): RE2JS | undefined {
  try {
    return compileRe2(regex);
  } catch {
    return undefined;
  }
}

/** Reads a template from left to right into the regex that it stands for. */
class TemplateParser {
  regex = '/';
  literalPrefix = '/';
  readonly variables = new Set<string>();
  #rest: string;
  #onlyLiterals = true;
  #sawAnySegments = false;

  constructor(template: string) {
    if (!/^\/[!-~]*$/.test(template)) throw new Error('Invalid pattern');
    this.#rest = template.slice(1);
    while (this.#rest !== '') {
      if (this.#rest.startsWith('*')) this.#wildcardSegment();
      else if (this.#rest.startsWith('{')) this.#variableSegment('');
      else this.#literalSegment();
      if (this.#rest === '') break;
      this.#rest = this.#rest.slice(1);
      this.regex += '/';
      if (this.#onlyLiterals) this.literalPrefix += '/';
    }
  }

  /** `*` or `**`, at the end of the template followed by a literal if need be. */
  #wildcardSegment(): void {
    this.regex += this.#operator();
    if (this.#rest === '' || this.#rest.startsWith('/')) return;
    this.regex += this.#literal();
    if (this.#rest !== '') throw new Error('Prefix match not supported.');
  }

  #literalSegment(): void {
    const slash = this.#rest.indexOf('/');
    const segment = slash === -1 ? this.#rest : this.#rest.slice(0, slash);
    const open = segment.indexOf('{');
    if (open === -1 || !segment.includes('}', open)) this.regex += this.#literal();
    else this.#variableSegment(segment.slice(0, open));
  }

  /** A variable, with a literal before and behind it if need be. */
  #variableSegment(prefix: string): void {
    if (prefix !== '') this.regex += this.#literal(prefix);
    this.regex += this.#variable();
    if (this.#rest !== '' && !this.#rest.startsWith('/')) this.regex += this.#literal();
  }

  /** Takes `literal`, by default all up to the next slash. */
  #literal(literal = this.#rest.split('/', 1)[0]!): string {
    if (!literalText.test(literal)) throw new Error(`Invalid literal: "${literal}"`);
    this.#rest = this.#rest.slice(literal.length);
    if (this.#onlyLiterals) {
      const star = literal.indexOf('*');
      this.literalPrefix += star === -1 ? literal : literal.slice(0, Math.max(0, star - 1));
      if (star !== -1) this.#onlyLiterals = false;
    }
    return escapeRegex(literal);
  }

  #operator(): string {
    this.#onlyLiterals = false;
    if (this.#sawAnySegments) throw new Error('Glob after text glob.');
    if (!this.#rest.startsWith('**')) {
      this.#rest = this.#rest.slice(1);
      return ONE_SEGMENT;
    }
    this.#rest = this.#rest.slice(2);
    this.#sawAnySegments = true;
    return ANY_SEGMENTS;
  }

  #variable(): string {
    this.#onlyLiterals = false;
    const close = this.#rest.indexOf('}');
    if (close === -1) throw new Error('Unmatched variable bracket');
    const inner = this.#rest.slice(1, close);
    const after = this.#rest.slice(close + 1);
    const equals = inner.indexOf('=');
    const name = equals === -1 ? inner : inner.slice(0, equals);
    if (!variableName.test(name)) throw new Error('Invalid variable name');
    if (this.variables.size >= 5) throw new Error('Exceeded variable count limit');
    if (name.length > 16) throw new Error('Invalid variable length');
    if (this.variables.has(name)) throw new Error('Repeated variable name');
    this.variables.add(name);
    let body = '';
    if (equals === -1) {
      if (this.#sawAnySegments) throw new Error('Implicit variable path glob after text glob.');
      body = ONE_SEGMENT;
    } else {
      this.#rest = inner.slice(equals + 1);
      if (this.#rest === '') throw new Error('Empty variable match');
      while (this.#rest !== '') {
        body += this.#rest.startsWith('*') ? this.#operator() : this.#literal();
        if (this.#rest === '') break;
        if (!this.#rest.startsWith('/') || this.#rest.length === 1) throw new Error('Invalid variable match');
        this.#rest = this.#rest.slice(1);
        body += '/';
      }
    }
    this.#rest = after;
    return `(?P<${name}>${body})`;
  }
}

function escapeRegex(text: string): string {
  return text.replace(/[$()+.]/g, '\\$&');
}
