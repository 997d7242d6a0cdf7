/** How the HCM wants request paths; HcmModel has these fields. */
export interface PathOptions {
  readonly normalizePath: boolean;
  readonly mergeSlashes: boolean;
  readonly escapedSlashes: 'keep-unchanged' | 'reject-request' | 'unescape-and-redirect' | 'unescape-and-forward';
}

/** The path to go on with; `redirect`: the client is sent to it instead. Undefined: the request is refused. */
export interface NormalizedPath {
  readonly path: string;
  readonly redirect: boolean;
}

const NOT_FOUND = -1;
const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const PERCENT = 0x25;
const DOT = 0x2e;

/**
 * Applies the HCM's path options in Envoy's order: a fragment is refused, then escaped slashes, then RFC 3986
 * normalisation, then merged slashes. Only the path is looked at, never the query.
 */
export function normalizeRequestPath(target: string, options: PathOptions): NormalizedPath | string | undefined {
  if (target.includes('#')) return undefined;
  const { escapedSlashes } = options;
  if (!options.normalizePath && !options.mergeSlashes && escapedSlashes === 'keep-unchanged') return target;
  const query = target.indexOf('?');
  const suffix = query === NOT_FOUND ? '' : target.slice(query);
  const original = query === NOT_FOUND ? target : target.slice(0, query);
  let path: string | undefined = original;
  let redirect = false;
  if (escapedSlashes !== 'keep-unchanged') {
    path = unescapeSlashes(path);
    if (path !== original) {
      if (escapedSlashes === 'reject-request') return undefined;
      redirect = escapedSlashes === 'unescape-and-redirect';
    }
  }
  if (options.normalizePath) {
    path = canonicalizePath(path);
    if (path === undefined) return undefined;
  }
  if (options.mergeSlashes) path = mergeSlashes(path);
  if (redirect) return { path: path + suffix, redirect };
  return path === original ? target : path + suffix;
}

/** `%2F` -> `/` and `%5C` -> `\`, in either case of the hex digit. */
export function unescapeSlashes(path: string): string {
  let at = path.indexOf('%');
  if (at === NOT_FOUND) return path;
  let out = '';
  let from = 0;
  for (; at !== NOT_FOUND; at = path.indexOf('%', at + 1)) {
    const first = path.charCodeAt(at + 1);
    const second = path.charCodeAt(at + 2) | 0x20;
    const char = first === 0x32 && second === 0x66 ? '/' : first === 0x35 && second === 0x63 ? '\\' : '';
    if (char === '') continue;
    out += path.slice(from, at) + char;
    from = at + 3;
  }
  return from === 0 ? path : out + path.slice(from);
}

/** Runs of slashes become one. A path of nothing but slashes becomes two, as in Envoy. */
export function mergeSlashes(path: string): string {
  let at = path.indexOf('//');
  if (at === NOT_FOUND) return path;
  let out = '';
  let from = 0;
  for (; at !== NOT_FOUND; at = path.indexOf('//', from)) {
    out += path.slice(from, at + 1);
    from = at + 2;
    while (path.charCodeAt(from) === SLASH) from++;
  }
  if (from === path.length && out === '/') return '//';
  return out + path.slice(from);
}

/**
 * RFC 3986 section 6.2.2 as Envoy's URL library does it: percent-encoded unreserved characters are decoded, dot
 * segments resolved (`%2e` is a dot, a dot segment may carry `;parameters`), backslashes turned to slashes, and
 * `"<>^`{|}` encoded. Other escapes stay as they are, malformed ones too. Undefined for `%00` and for bytes that no
 * path may hold.
 */
export function canonicalizePath(path: string): string | undefined {
  if (!needsWork(path)) return path;
  const text = path.includes('.;') ? stripDotParameters(path) : path;
  let out = '';
  /** Start of the current segment in `out`, just behind its slash. */
  let segment = 0;
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : SLASH;
    if (code === SLASH || code === BACKSLASH) {
      const atEnd = i === text.length;
      const length = out.length - segment;
      if (length === 1 && out.charCodeAt(segment) === DOT) out = out.slice(0, segment);
      else if (length === 2 && out.charCodeAt(segment) === DOT && out.charCodeAt(segment + 1) === DOT) {
        out = segment < 2 ? '/' : out.slice(0, out.lastIndexOf('/', segment - 2) + 1);
      } else if (!atEnd) out += '/';
      segment = out.length;
      continue;
    }
    if (code === PERCENT) {
      const decoded = hexByte(text, i + 1);
      if (decoded === 0) return undefined;
      if (decoded !== NOT_FOUND && isUnreserved(decoded)) {
        out += String.fromCharCode(decoded);
        i += 2;
      } else out += '%';
      continue;
    }
    if (code < 0x21 || code > 0x7e) return undefined;
    out += isEscaped(code) ? `%${code.toString(16).toUpperCase()}` : text[i]!;
  }
  return out;
}

/** Whether canonicalizePath could change (or refuse) the path; most paths pass this one scan. */
function needsWork(path: string): boolean {
  let previous = 0;
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code === DOT && previous === SLASH) return true;
    if (code === PERCENT || code === BACKSLASH || code < 0x21 || code > 0x7e || isEscaped(code)) return true;
    previous = code;
  }
  return false;
}

/** `/..;x/` -> `/../`, `/.;x/` -> `/./` */
function stripDotParameters(path: string): string {
  return path.replaceAll(/([/\\]\.\.?);[^/\\]*/g, '$1');
}

function hexByte(text: string, at: number): number {
  const high = hexDigit(text.charCodeAt(at));
  const low = hexDigit(text.charCodeAt(at + 1));
  return high === NOT_FOUND || low === NOT_FOUND ? NOT_FOUND : high * 16 + low;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : NOT_FOUND;
}

function isUnreserved(code: number): boolean {
  const lower = code | 0x20;
  return (
    (lower >= 0x61 && lower <= 0x7a) ||
    (code >= 0x30 && code <= 0x39) ||
    code === 0x2d ||
    code === DOT ||
    code === 0x5f ||
    code === 0x7e
  );
}

function isEscaped(code: number): boolean {
  switch (code) {
    case 0x22: // "
    case 0x3c: // <
    case 0x3e: // >
    case 0x5e: // ^
    case 0x60: // `
    case 0x7b: // {
    case 0x7c: // |
    case 0x7d: // }
      return true;
    default:
      return false;
  }
}
