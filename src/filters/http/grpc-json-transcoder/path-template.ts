import { ConfigError } from '../../config-type.ts';

/** A part of a path that is bound to a field of the request. */
export interface TemplateVariable {
  /** The field, by the names on the way to it. */
  readonly fieldPath: readonly string[];
  /** The segments that it spans. `end` below zero counts from the end of the path, 0 is the end: behind `**`. */
  readonly start: number;
  readonly end: number;
}

/** A template of google.api.http: `/v1/{name=shelves/*}/books/{id}:verb`. */
export interface PathTemplate {
  /** Literals, `*` (one segment) and `**` (any number, at the end). */
  readonly segments: readonly string[];
  readonly variables: readonly TemplateVariable[];
  /** '' = none. */
  readonly verb: string;
}

/** Parses a template (google/api/http.proto, "Path template syntax"). Throws ConfigError. */
export function parseTemplate(text: string): PathTemplate {
  const fail = (): never => {
    throw new ConfigError(`'${text}' is not a valid path template`);
  };
  if (!text.startsWith('/')) fail();
  const colon = text.lastIndexOf(':');
  const hasVerb = colon > Math.max(text.lastIndexOf('/'), text.lastIndexOf('}'));
  const verb = hasVerb ? text.slice(colon + 1) : '';
  const path = hasVerb ? text.slice(1, colon) : text.slice(1);
  const segments: string[] = [];
  const variables: { fieldPath: string[]; start: number; end: number }[] = [];
  // Slashes within braces belong to a variable.
  for (const part of path === '' ? [] : path.split(/\/(?![^{]*\})/)) {
    const variable = /^\{([^{}=]+)(?:=([^{}]+))?\}$/.exec(part);
    const start = segments.length;
    if (variable !== null) {
      segments.push(...(variable[2] ?? '*').split('/'));
      variables.push({ fieldPath: variable[1]!.split('.'), start, end: segments.length });
    } else segments.push(/[{}]/.test(part) ? '' : part);
  }
  const rest = segments.indexOf('**');
  if (
    segments.some((segment) => segment === '') ||
    (rest !== -1 && rest !== segments.length - 1 && segments.indexOf('**', rest + 1) !== -1)
  )
    fail();
  for (const variable of variables) {
    if (variable.fieldPath.some((name) => name === '')) fail();
    if (rest === -1) continue;
    if (variable.end > rest) variable.end -= segments.length;
    if (variable.start > rest) variable.start -= segments.length;
  }
  return { segments, variables, verb };
}

/** A tree of templates: literals before `*` before `**`, as grpc-httpjson-transcoding does it. */
export class PathMatcher<Rule> {
  readonly #root = new PathNode<Rule>();
  readonly #verbs = new Set<string>();
  readonly #anyVerb: boolean;

  /** `anyVerb`: what follows a colon in the last segment is a verb even if no template has it. */
  constructor(anyVerb: boolean) {
    this.#anyVerb = anyVerb;
  }

  /** `method`: `GET`, or `*` for all. False: that place is taken. */
  add(method: string, { segments, verb }: PathTemplate, rule: Rule): boolean {
    let node = this.#root;
    for (const segment of segments) node = node.child(segment);
    if (verb !== '') {
      this.#verbs.add(verb);
      node = node.child(`:${verb}`);
    }
    if (node.rules.has(method)) return false;
    node.rules.set(method, rule);
    return true;
  }

  /** `path` is without its query. */
  find(method: string, path: string): { readonly rule: Rule; readonly segments: readonly string[] } | undefined {
    const segments = path.slice(1).split('/');
    while (segments.length > 0 && segments.at(-1) === '') segments.pop();
    const last = segments.at(-1) ?? '';
    const colon = last.lastIndexOf(':');
    let verb = '';
    if (colon !== -1 && (this.#anyVerb || this.#verbs.has(last.slice(colon + 1)))) {
      verb = `:${last.slice(colon + 1)}`;
      segments[segments.length - 1] = last.slice(0, colon);
    }
    const rule = this.#root.find(verb === '' ? segments : [...segments, verb], 0, method);
    return rule === undefined ? undefined : { rule, segments };
  }
}

class PathNode<Rule> {
  readonly rules = new Map<string, Rule>();
  readonly #children = new Map<string, PathNode<Rule>>();

  child(segment: string): PathNode<Rule> {
    let child = this.#children.get(segment);
    if (child === undefined) this.#children.set(segment, (child = new PathNode()));
    return child;
  }

  find(segments: readonly string[], at: number, method: string): Rule | undefined {
    const rest = this.#children.get('**');
    if (at === segments.length) return this.#rule(method) ?? (rest === undefined ? undefined : rest.#rule(method));
    const segment = segments[at]!;
    const isVerb = segment.startsWith(':');
    const literal = segment === '*' || segment === '**' ? undefined : this.#children.get(segment);
    const found = literal?.find(segments, at + 1, method);
    if (found !== undefined) return found;
    if (!isVerb) {
      const single = this.#children.get('*')?.find(segments, at + 1, method);
      if (single !== undefined) return single;
    }
    if (rest === undefined) return undefined;
    for (let next = segments.length; next >= at; next--) {
      // A verb is no part of what `**` stands for.
      if (next === segments.length && segments.at(-1)!.startsWith(':')) continue;
      const behind = next === segments.length ? rest.#rule(method) : rest.find(segments, next, method);
      if (behind !== undefined) return behind;
    }
    return undefined;
  }

  #rule(method: string): Rule | undefined {
    return this.rules.get(method) ?? this.rules.get('*');
  }
}

/** Which escapes of a path stay as they are in a variable of several segments. */
export type Unescaping = 'except-reserved' | 'except-slash' | 'all';

const RESERVED = new Set("!#$&'()*+,/:;=?@[]");

/** The value of a variable of a template. */
export function variableValue(segments: readonly string[], { start, end }: TemplateVariable, how: Unescaping): string {
  const from = start < 0 ? segments.length + start : start;
  const to = end <= 0 ? segments.length + end : end;
  const single = end > 0 && end - start === 1;
  return segments
    .slice(from, to)
    .map((segment) => unescapeText(segment, single ? 'all' : how))
    .join('/');
}

/** Percent-decodes; the bytes are taken for UTF-8. */
export function unescapeText(text: string, how: Unescaping, plusIsSpace = false): string {
  if (!text.includes('%') && !text.includes('+')) return Buffer.from(text, 'latin1').toString('utf8');
  const plain = plusIsSpace ? text.replaceAll('+', ' ') : text;
  const bytes = plain.replace(/%([0-9A-Fa-f]{2})/g, (escape, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    if (how === 'except-reserved' && RESERVED.has(character)) return escape;
    if (how === 'except-slash' && character === '/') return escape;
    return character;
  });
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
