/**
 * The ClientHello of a TLS connection (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2), as far as a proxy that does
 * not terminate it can see. Views into the message; valid as long as its buffer is.
 */
export interface ClientHello {
  /** legacy_version. */
  readonly version: number;
  /** Lower-case; '' = there is none. */
  readonly serverName: string;
  readonly hasServerNameExtension: boolean;
  /** Undefined: no ALPN extension, or a malformed one. */
  readonly applicationProtocols: readonly string[] | undefined;
  /** Two bytes each. */
  readonly cipherSuites: Buffer;
  /** In the order of the message. */
  readonly extensions: readonly ClientHelloExtension[];
}

export interface ClientHelloExtension {
  readonly type: number;
  readonly data: Buffer;
}

/** Why bytes are no ClientHello; as BoringSSL, and with it Envoy, names it. */
export type ClientHelloError = keyof typeof ERROR_CODES;

const ERROR_CODES = {
  CLIENTHELLO_PARSE_FAILED: 0x83,
  CONNECTION_REJECTED: 0x85,
  ENCRYPTED_LENGTH_TOO_LONG: 0x92,
  ERROR_PARSING_EXTENSION: 0x95,
  EXCESSIVE_MESSAGE_SIZE: 0x96,
  HTTPS_PROXY_REQUEST: 0x9b,
  HTTP_REQUEST: 0x9c,
  UNEXPECTED_MESSAGE: 0xdf,
  UNEXPECTED_RECORD: 0xe1,
  WRONG_VERSION_NUMBER: 0xf7,
  SSLV3_ALERT_HANDSHAKE_FAILURE: 0x410,
} as const;

/** %DOWNSTREAM_TRANSPORT_FAILURE_REASON% of it. */
export function clientHelloFailureText(error: ClientHelloError): string {
  const code = (0x1000_0000 + ERROR_CODES[error]).toString(16);
  return `TLS_error|error:${code}:SSL routines:OPENSSL_internal:${error}:TLS_error_end`;
}

export const EXTENSION_SERVER_NAME = 0;
export const EXTENSION_SUPPORTED_GROUPS = 10;
export const EXTENSION_POINT_FORMATS = 11;
export const EXTENSION_SIGNATURE_ALGORITHMS = 13;
export const EXTENSION_ALPN = 16;
export const EXTENSION_SUPPORTED_VERSIONS = 43;

const RECORD_HEADER = 5;
const MESSAGE_HEADER = 4;
const CONTENT_ALERT = 21;
const CONTENT_HANDSHAKE = 22;
/** The most that a record may say it holds: 2^14, and what encryption may add by BoringSSL's reckoning. */
const MOST_RECORD_BYTES = 16_384 + 320;
const MOST_MESSAGE_BYTES = 16_384;
const MOST_WARNINGS = 4;

/** `closed`: the peer has said goodbye instead (close_notify). */
export type ClientHelloState = 'more' | 'hello' | 'error' | 'closed';

/**
 * Puts a ClientHello together out of records and of reads, however both are cut. `read` is given all bytes from the
 * first one on each time, and goes on where it stopped.
 */
export class ClientHelloReader {
  hello: ClientHello | undefined = undefined;
  error: ClientHelloError | undefined = undefined;
  /** Bytes of the records that were looked at. */
  bytesProcessed = 0;
  /** Where the next record begins. */
  #at = 0;
  /** What the handshake records so far hold; a view as long as there is one record. */
  #message: Buffer | undefined = undefined;
  #warnings = 0;

  read(bytes: Buffer): ClientHelloState {
    for (;;) {
      const left = bytes.length - this.#at;
      // Five bytes tell a record from plain text.
      if (left < RECORD_HEADER) return 'more';
      const at = this.#at;
      const type = bytes[at]!;
      const length = bytes.readUInt16BE(at + 3);
      const wrong = at === 0 ? checkStart(bytes) : undefined;
      this.bytesProcessed = at + RECORD_HEADER;
      if (wrong !== undefined) return this.#fail(wrong);
      if (bytes[at + 1] !== 3) return this.#fail('WRONG_VERSION_NUMBER');
      if (length > MOST_RECORD_BYTES) return this.#fail('ENCRYPTED_LENGTH_TOO_LONG');
      if (left < RECORD_HEADER + length) return 'more';
      const body = bytes.subarray(at + RECORD_HEADER, at + RECORD_HEADER + length);
      this.#at = this.bytesProcessed = at + RECORD_HEADER + length;
      if (type === CONTENT_ALERT) {
        if (body.length === 2 && body[0] === 1 && body[1] === 0) return 'closed';
        // Another warning changes nothing.
        if (body.length !== 2 || body[0] !== 1 || ++this.#warnings > MOST_WARNINGS)
          return this.#fail('SSLV3_ALERT_HANDSHAKE_FAILURE');
        continue;
      }
      if (type !== CONTENT_HANDSHAKE) return this.#fail('UNEXPECTED_RECORD');
      const message = this.#message === undefined ? body : Buffer.concat([this.#message, body]);
      this.#message = message;
      if (message.length < MESSAGE_HEADER) continue;
      const size = message.readUIntBE(1, 3);
      if (size > MOST_MESSAGE_BYTES) return this.#fail('EXCESSIVE_MESSAGE_SIZE');
      if (message.length < MESSAGE_HEADER + size) continue;
      if (message[0] !== 1) return this.#fail('UNEXPECTED_MESSAGE');
      const hello = parseClientHello(message.subarray(MESSAGE_HEADER, MESSAGE_HEADER + size));
      if (typeof hello === 'string') return this.#fail(hello);
      this.hello = hello;
      return 'hello';
    }
  }

  #fail(error: ClientHelloError): 'error' {
    this.error = error;
    return 'error';
  }
}

/** Plain text that is often sent to a TLS port has errors of its own. */
function checkStart(bytes: Buffer): ClientHelloError | undefined {
  if (bytes[0]! < 0x20) return undefined;
  const start = bytes.toString('latin1', 0, RECORD_HEADER);
  if (/^(?:GET |POST |HEAD |PUT )/.test(start)) return 'HTTP_REQUEST';
  return start === 'CONNE' ? 'HTTPS_PROXY_REQUEST' : undefined;
}

/** Parses the body of a ClientHello message. Never throws. */
export function parseClientHello(body: Buffer): ClientHello | ClientHelloError {
  const malformed = 'CLIENTHELLO_PARSE_FAILED';
  const sessionIdAt = 34;
  if (body.length <= sessionIdAt || body[sessionIdAt]! > 32) return malformed;
  const version = body.readUInt16BE(0);
  const ciphersAt = sessionIdAt + 1 + body[sessionIdAt]!;
  if (ciphersAt + 2 > body.length) return malformed;
  const ciphersLength = body.readUInt16BE(ciphersAt);
  const compressionAt = ciphersAt + 2 + ciphersLength;
  if (ciphersLength < 2 || ciphersLength % 2 !== 0 || compressionAt >= body.length) return malformed;
  const compressionLength = body[compressionAt]!;
  let at = compressionAt + 1 + compressionLength;
  if (compressionLength === 0 || at > body.length) return malformed;
  const extensions: ClientHelloExtension[] = [];
  if (at < body.length) {
    if (at + 2 > body.length || at + 2 + body.readUInt16BE(at) !== body.length) return malformed;
    const seen = new Set<number>();
    for (at += 2; at < body.length;) {
      if (at + 4 > body.length) return malformed;
      const type = body.readUInt16BE(at);
      const end = at + 4 + body.readUInt16BE(at + 2);
      if (end > body.length || seen.has(type)) return malformed;
      seen.add(type);
      extensions.push({ type, data: body.subarray(at + 4, end) });
      at = end;
    }
  }
  const sni = find(extensions, EXTENSION_SERVER_NAME);
  const serverName = sni === undefined ? '' : parseServerName(sni);
  if (serverName === undefined) return 'ERROR_PARSING_EXTENSION';
  const alpn = find(extensions, EXTENSION_ALPN);
  return {
    version,
    serverName,
    hasServerNameExtension: sni !== undefined,
    applicationProtocols: alpn === undefined ? undefined : parseProtocols(alpn),
    cipherSuites: body.subarray(ciphersAt + 2, compressionAt),
    extensions,
  };
}

function find(extensions: readonly ClientHelloExtension[], type: number): Buffer | undefined {
  for (const extension of extensions) if (extension.type === type) return extension.data;
  return undefined;
}

/** RFC 6066 section 3: a list that holds exactly one host name. Undefined: malformed. */
function parseServerName(data: Buffer): string | undefined {
  if (data.length < 6 || data.readUInt16BE(0) !== data.length - 2 || data[2] !== 0) return undefined;
  const length = data.readUInt16BE(3);
  if (length === 0 || length > 255 || length !== data.length - 5) return undefined;
  const name = data.toString('latin1', 5);
  return name.includes('\0') ? undefined : asciiLowerCase(name);
}

/** RFC 7301 section 3.1. Undefined: malformed. */
function parseProtocols(data: Buffer): readonly string[] | undefined {
  if (data.length < 4 || data.readUInt16BE(0) !== data.length - 2) return undefined;
  const names: string[] = [];
  for (let at = 2; at < data.length;) {
    const length = data[at]!;
    if (length === 0 || at + 1 + length > data.length) return undefined;
    names.push(data.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return names;
}

/** Leaves bytes beyond ASCII alone, which toLowerCase doesn't. */
function asciiLowerCase(text: string): string {
  return /[A-Z]/.test(text) ? text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()) : text;
}
