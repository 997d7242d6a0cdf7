import type { Certificate } from '../../lib/x509/certificate.ts';

/** A server certificate, as far as the choice among several depends on it. */
export interface ServerCertificate {
  /** Undefined: it can't be read (PKCS #12). */
  readonly certificate: Certificate | undefined;
  readonly keyKind: 'rsa' | 'ecdsa' | 'other';
}

/**
 * Which certificates a client is offered for its SNI, as Envoy does it: those whose names (DNS SANs, or the CN of one
 * without SANs) hold it, then those with a wildcard for it. Of several for one name and kind of key the first counts.
 */
export class ServerNames {
  /** Wildcards are kept without their `*`. Indices, by kind of key. */
  readonly #byName = new Map<string, number[]>();
  readonly #all: readonly number[];
  readonly #scanAll: boolean;
  /** For clients that can do no ECDSA. */
  readonly #firstRsa: number;

  constructor(certificates: readonly ServerCertificate[], fullScanOnMismatch: boolean) {
    this.#scanAll = fullScanOnMismatch;
    const all: number[] = [];
    for (const [index, { certificate, keyKind }] of certificates.entries()) {
      const isFirst = (indices: readonly number[]): boolean =>
        !indices.some((other) => certificates[other]!.keyKind === keyKind);
      if (isFirst(all)) all.push(index);
      for (const name of certificate === undefined ? [] : namesOf(certificate)) {
        const key = (name.startsWith('*.') ? name.slice(1) : name).toLowerCase();
        const known = this.#byName.get(key);
        if (known === undefined) this.#byName.set(key, [index]);
        else if (isFirst(known)) known.push(index);
      }
    }
    this.#all = all;
    this.#firstRsa = certificates.findIndex(({ keyKind }) => keyKind === 'rsa');
    for (const known of this.#byName.values()) if (fullScanOnMismatch) this.#addRsa(known, certificates);
  }

  /** Without an SNI: one of each kind of key. */
  get withoutServerName(): readonly number[] {
    return this.#all;
  }

  /** Indices of certificates with keys of different kinds; the client's abilities decide among them. */
  find(serverName: string): readonly number[] {
    const name = serverName.toLowerCase();
    const exact = this.#byName.get(name);
    if (exact !== undefined) return exact;
    const dot = name.indexOf('.', 1);
    const wildcard = dot === -1 || dot === name.length - 1 ? undefined : this.#byName.get(name.slice(dot));
    return wildcard ?? (this.#scanAll ? this.#all : FIRST);
  }

  /** A full scan goes on for a client that can't use what has its name. */
  #addRsa(known: number[], certificates: readonly ServerCertificate[]): void {
    if (this.#firstRsa !== -1 && known.every((index) => certificates[index]!.keyKind === 'ecdsa'))
      known.push(this.#firstRsa);
  }
}

const FIRST: readonly number[] = [0];

function namesOf(certificate: Certificate): readonly string[] {
  if (certificate.hasSubjectAltNames) return certificate.sans('dns');
  return certificate.commonNames.slice(0, 1).filter((name) => name !== '');
}
