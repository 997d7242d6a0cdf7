import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { TlsInfo } from '../../filters/stream-info.ts';
import { Certificate, percentEncodedPem } from '../../lib/x509/certificate.ts';
import { derChildren, readDer } from '../../lib/x509/der-reader.ts';

const NONE: readonly string[] = [];
const MAX_CHAIN = 16;

/**
 * What the handshake of a socket established. Certificates are read when somebody asks; the session's id can only be
 * while the socket is open.
 */
export class ConnectionTlsInfo implements TlsInfo {
  readonly version: string;
  readonly cipher: string;
  readonly group: string;
  readonly alpn: string;
  readonly peerValidated: boolean;
  readonly #socket: TLSSocket;
  readonly #peerLeaf: X509Certificate | undefined;
  readonly #localLeaf: X509Certificate | undefined;
  #chain: readonly Certificate[] | undefined;
  #local: Certificate | null | undefined;
  #issuer: Certificate | null | undefined;
  #sessionId: string | undefined;
  #peerCertificate: string | undefined;

  /** `peer`: what it presented. `group`: of the key exchange; '' = not known. */
  constructor(socket: TLSSocket, peer: X509Certificate | undefined, peerValidated: boolean, group: string) {
    this.#socket = socket;
    this.#peerLeaf = peer;
    // A closed socket has none any more, and logs may ask then.
    this.#localLeaf = socket.getX509Certificate();
    this.version = socket.getProtocol() ?? '';
    // Node has typed it as always there; a socket that has closed meanwhile has none.
    this.cipher = (socket.getCipher() as { name: string } | undefined)?.name ?? '';
    this.group = group;
    this.alpn = typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : '';
    this.peerValidated = peerValidated;
  }

  get peerPresented(): boolean {
    return this.#peerLeaf !== undefined;
  }

  get sessionId(): string {
    return (this.#sessionId ??= this.version === 'TLSv1.3' ? '' : sessionIdOf(this.#socket.getSession()));
  }

  get peerSubject(): string {
    return this.#peer?.subject ?? '';
  }

  get peerIssuer(): string {
    return this.#peer?.issuer ?? '';
  }

  get peerSerial(): string {
    return this.#peer?.serial ?? '';
  }

  get peerFingerprint256(): string {
    return this.#peer?.fingerprint256 ?? '';
  }

  get peerFingerprint1(): string {
    return this.#peer?.fingerprint1 ?? '';
  }

  get peerIssuerSerial(): string {
    return this.#peerIssuer?.serial ?? '';
  }

  get peerIssuerFingerprint256(): string {
    return this.#peerIssuer?.fingerprint256 ?? '';
  }

  get peerUriSans(): readonly string[] {
    return this.#peer?.sans('uri') ?? NONE;
  }

  get peerDnsSans(): readonly string[] {
    return this.#peer?.sans('dns') ?? NONE;
  }

  get peerEmailSans(): readonly string[] {
    return this.#peer?.sans('email') ?? NONE;
  }

  get peerIpSans(): readonly string[] {
    return this.#peer?.sans('ip') ?? NONE;
  }

  get peerOtherNameSans(): readonly string[] {
    return this.#peer?.sans('other-name') ?? NONE;
  }

  get peerValidFromMs(): number {
    return this.#peer?.validFromMs ?? Number.NaN;
  }

  get peerValidToMs(): number {
    return this.#peer?.validToMs ?? Number.NaN;
  }

  get peerChainFingerprints256(): readonly string[] {
    return this.#peerChain.map(({ fingerprint256 }) => fingerprint256);
  }

  get peerChainFingerprints1(): readonly string[] {
    return this.#peerChain.map(({ fingerprint1 }) => fingerprint1);
  }

  get peerChainSerials(): readonly string[] {
    return this.#peerChain.map(({ serial }) => serial);
  }

  get localUriSans(): readonly string[] {
    return this.#own?.sans('uri') ?? NONE;
  }

  get localDnsSans(): readonly string[] {
    return this.#own?.sans('dns') ?? NONE;
  }

  get localEmailSans(): readonly string[] {
    return this.#own?.sans('email') ?? NONE;
  }

  get localIpSans(): readonly string[] {
    return this.#own?.sans('ip') ?? NONE;
  }

  get localOtherNameSans(): readonly string[] {
    return this.#own?.sans('other-name') ?? NONE;
  }

  get localSubject(): string {
    return this.#own?.subject ?? '';
  }

  get peerCertificate(): string {
    return (this.#peerCertificate ??= this.#peer?.encodedPem ?? '');
  }

  get peerCertificateChain(): string {
    return percentEncodedPem(this.#peerChain.map(({ pem }) => pem).join(''));
  }

  get #peer(): Certificate | undefined {
    return this.#peerChain[0];
  }

  get #peerChain(): readonly Certificate[] {
    return (this.#chain ??= readChain(this.#peerLeaf));
  }

  /** The next one that the peer sent, or the trust anchor that it was verified with. */
  get #peerIssuer(): Certificate | undefined {
    if (this.#issuer === undefined) {
      const anchor = (): Certificate | undefined => {
        const issuer = this.#socket.getPeerCertificate(true)?.issuerCertificate;
        return issuer?.raw === undefined ? undefined : Certificate.read(issuer.raw);
      };
      this.#issuer = (this.peerValidated ? (this.#peerChain[1] ?? anchor()) : undefined) ?? null;
    }
    return this.#issuer ?? undefined;
  }

  get #own(): Certificate | undefined {
    if (this.#local === undefined) {
      const leaf = this.#localLeaf;
      this.#local = (leaf === undefined ? undefined : Certificate.read(leaf.raw)) ?? null;
    }
    return this.#local ?? undefined;
  }
}

function readChain(leaf: X509Certificate | undefined): Certificate[] {
  const chain: Certificate[] = [];
  for (let next = leaf; next !== undefined && chain.length < MAX_CHAIN; next = next.issuerCertificate) {
    const certificate = Certificate.read(next.raw);
    if (certificate === undefined || chain.some(({ raw }) => raw.equals(certificate.raw))) break;
    chain.push(certificate);
  }
  return chain;
}

/** The id in a session as OpenSSL serialises it: SEQUENCE { version, protocol, cipher, id, ... }. '' = none. */
function sessionIdOf(session: Buffer | undefined): string {
  if (session === undefined) return '';
  return derChildren(readDer(session))[3]?.content.toString('hex') ?? '';
}
