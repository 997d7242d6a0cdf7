/** One block of a PEM text. */
export interface PemBlock {
  /** `CERTIFICATE`, `PRIVATE KEY`, ... */
  readonly label: string;
  readonly der: Buffer;
  /** As it stood, line end included. */
  readonly text: string;
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----\r?\n([\s\S]*?)-----END \1-----[^\S\n]*\n?/g;

/**
 * The blocks of a PEM text (RFC 7468); whatever stands between them is ignored. Undefined if one is broken: not ended,
 * or not Base64. Never throws.
 */
export function readPem(text: string): PemBlock[] | undefined {
  const blocks: PemBlock[] = [];
  for (const [whole, label = '', body = ''] of text.matchAll(BLOCK)) {
    // Headers of encrypted keys (RFC 1421) come before an empty line.
    const headers = /^[^\s:]+:/.test(body) ? body.search(/\r?\n\r?\n/) : -1;
    const base64 = (headers === -1 ? body : body.slice(headers)).replace(/\s+/g, '');
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64) || base64.length % 4 !== 0) return undefined;
    blocks.push({ label, der: Buffer.from(base64, 'base64'), text: whole });
  }
  const begun = text.match(/-----BEGIN /g)?.length ?? 0;
  return begun === blocks.length ? blocks : undefined;
}

const CERTIFICATES: ReadonlySet<string> = new Set(['CERTIFICATE', 'X509 CERTIFICATE', 'TRUSTED CERTIFICATE']);

export const isCertificateBlock = ({ label }: PemBlock): boolean => CERTIFICATES.has(label);

/** DER as PEM, 64 characters a line, with a line end behind it. */
export function pemOf(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('base64');
  const lines = base64.match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
