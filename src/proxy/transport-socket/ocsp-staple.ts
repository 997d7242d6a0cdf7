import type { TlsCertificateModel } from '../../config/secret-model.ts';
import type { DownstreamTlsModel } from '../../config/transport-socket-model.ts';
import type { Certificate } from '../../lib/x509/certificate.ts';
import { readOcspResponse } from '../../lib/x509/ocsp-response.ts';

/** The OCSP response of one server certificate, and what happens to clients that ask for it. */
export class OcspStaple {
  /** DER; undefined: there is none. */
  readonly response: Buffer | undefined;
  readonly #expiresMs: number;
  readonly #policy: DownstreamTlsModel['ocspStaplePolicy'];

  /** A certificate that promises a staple (RFC 7633) makes the policy as strict as it gets. */
  constructor(
    { ocspStaple }: TlsCertificateModel,
    certificate: Certificate | undefined,
    policy: DownstreamTlsModel['ocspStaplePolicy'],
  ) {
    this.#policy = certificate?.mustStaple === true ? 'must-staple' : policy;
    this.response = ocspStaple === undefined ? undefined : Buffer.from(ocspStaple);
    const response = this.response === undefined ? '' : readOcspResponse(this.response);
    this.#expiresMs = typeof response === 'string' ? -Infinity : (response.nextUpdateMs ?? -Infinity);
  }

  /** Whoever asks must get it, or nothing. */
  get isRequired(): boolean {
    return this.#policy === 'must-staple';
  }

  /** `fail`: the handshake of a client that has asked must not go on. */
  verdict(nowMs: number): 'staple' | 'omit' | 'fail' {
    if (this.response !== undefined && this.#expiresMs > nowMs) return 'staple';
    if (this.#policy === 'must-staple') return 'fail';
    return this.#policy === 'strict' && this.response !== undefined ? 'fail' : 'omit';
  }
}
