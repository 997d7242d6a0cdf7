/** A resource's name, or a collection's, in parts: `xdstp://{authority}/{type}/{id}?{context}`, all decoded. */
export interface XdstpName {
  readonly authority: string;
  /** The full name of its message type. */
  readonly type: string;
  readonly id: string;
  readonly context: ReadonlyMap<string, string>;
}

const decoder = new TextDecoder();
/** What is escaped in each part besides what can't be printed. */
const RESERVED = { authority: '%/?#', id: '%?#[]', context: '%#[]&=' } as const;

/** Whether a name follows the scheme of TP1 ("xDS transport next steps"). */
export function isXdstp(name: string): boolean {
  return name.startsWith('xdstp:');
}

/** Takes a name apart, as Envoy does: an error text, in its words, if there is no type in it. */
export function parseXdstp(name: string): XdstpName | string {
  if (!isXdstp(name)) return `${name} does not have an xdstp: scheme`;
  const scheme = name.indexOf('://');
  const rest = scheme === -1 ? name : name.slice(scheme + 3);
  const slash = rest.indexOf('/');
  const host = slash === -1 ? rest : rest.slice(0, slash);
  const target = slash === -1 ? '/' : rest.slice(slash);
  const question = target.indexOf('?');
  const path = question === -1 ? target : target.slice(0, question);
  const [, type = '', ...id] = path.split('/');
  if (type === '') return `Resource type missing from ${path}`;
  const context = new Map<string, string>();
  for (const pair of question === -1 ? [] : target.slice(question + 1).split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const key = decode(equals === -1 ? pair : pair.slice(0, equals));
    // The first one counts.
    if (!context.has(key)) context.set(key, equals === -1 ? '' : decode(pair.slice(equals + 1)));
  }
  return { authority: decode(host), type, id: decode(id.join('/')), context };
}

/** The one way to write a name that all its spellings have in common: escaped alike, its context sorted. */
export function formatXdstp({ authority, type, id, context }: XdstpName): string {
  const pairs = Array.from(
    context,
    ([key, value]) => `${encode(key, RESERVED.context)}=${encode(value, RESERVED.context)}`,
  ).toSorted();
  const path = id === '' ? '' : `/${encode(id, RESERVED.id)}`;
  const query = pairs.length === 0 ? '' : `?${pairs.join('&')}`;
  return `xdstp://${encode(authority, RESERVED.authority)}/${type}${path}${query}`;
}

/** The canonical spelling of an `xdstp:` name; any other name, and one that makes no sense, as it is. */
export function canonicalName(name: string): string {
  const parsed = isXdstp(name) ? parseXdstp(name) : '';
  return typeof parsed === 'string' ? name : formatXdstp(parsed);
}

/** The glob collection that an `xdstp:` name is in: its last step is `*` there. Undefined: the name makes no sense. */
export function collectionOf(name: string): string | undefined {
  const parsed = parseXdstp(name);
  if (typeof parsed === 'string') return undefined;
  return formatXdstp({ ...parsed, id: `${parsed.id.slice(0, parsed.id.lastIndexOf('/') + 1)}*` });
}

function decode(text: string): string {
  if (!text.includes('%')) return text;
  const bytes: number[] = [];
  const encoded = Buffer.from(text);
  for (let i = 0; i < encoded.length; i++) {
    const hex = encoded[i] === 0x25 ? encoded.toString('latin1', i + 1, i + 3) : '';
    if (!/^[\da-f]{2}$/i.test(hex)) bytes.push(encoded[i]!);
    else {
      bytes.push(Number.parseInt(hex, 16));
      i += 2;
    }
  }
  return decoder.decode(Uint8Array.from(bytes));
}

function encode(text: string, reserved: string): string {
  let encoded = '';
  for (const byte of Buffer.from(text)) {
    const char = String.fromCharCode(byte);
    const isPlain = byte >= 0x20 && byte < 0x7e && !reserved.includes(char);
    encoded += isPlain ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}
