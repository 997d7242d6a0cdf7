import type { AdminSources } from './sources.ts';

/** One admin endpoint. */
export interface AdminPage {
  /** Begins with a slash. */
  readonly path: string;
  readonly help: string;
  /** Only POST is let through. */
  readonly mutates: boolean;
  readonly params: readonly AdminParam[];
  handle(request: AdminRequest, sources: AdminSources): AdminResponse | Promise<AdminResponse>;
}

export interface AdminParam {
  readonly name: string;
  readonly help: string;
  /** How the home page asks for it. */
  readonly kind: 'text' | 'flag' | readonly string[];
}

export interface AdminRequest {
  readonly method: string;
  /** Decoded; the first of several of one name. */
  readonly query: ReadonlyMap<string, string>;
  /** A form body's fields, decoded. */
  readonly form: ReadonlyMap<string, string>;
}

export interface AdminResponse {
  readonly status: number;
  readonly contentType: string;
  /** Text, or its pieces, made while they are sent. A piece may be ''. */
  readonly body: string | Iterable<string>;
  /** More text behind a body of pieces. */
  readonly tail?: () => Promise<string>;
  /** Called once the response is out. */
  readonly after?: () => void;
}

export const TEXT = 'text/plain; charset=UTF-8';
export const JSON_TYPE = 'application/json';
export const HTML = 'text/html; charset=UTF-8';

export const textResponse = (body: string | Iterable<string>, status = 200): AdminResponse => ({
  status,
  contentType: TEXT,
  body,
});

/** JSON as Envoy prints messages: one blank an indent, a line feed at the end. */
export const jsonResponse = (value: unknown): AdminResponse => ({
  status: 200,
  contentType: JSON_TYPE,
  body: `${JSON.stringify(value, null, 1)}\n`,
});

/** A query of a URL or a form body; what can't be decoded stays as it is. */
export function parseQuery(text: string): Map<string, string> {
  const query = new Map<string, string>();
  for (const pair of text.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const key = decode(equals === -1 ? pair : pair.slice(0, equals));
    if (!query.has(key)) query.set(key, equals === -1 ? '' : decode(pair.slice(equals + 1)));
  }
  return query;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
