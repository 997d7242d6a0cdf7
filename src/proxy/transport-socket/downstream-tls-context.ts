import { constants, createHash, X509Certificate } from 'node:crypto';
import {
  createSecureContext,
  createServer,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  type TlsOptions,
} from 'node:tls';
import type { TlsCertificateModel } from '../../config/secret-model.ts';
import type { DownstreamTlsModel } from '../../config/transport-socket-model.ts';
import { Certificate } from '../../lib/x509/certificate.ts';
import { OcspStaple } from './ocsp-staple.ts';
import { certificateOptions, secureContextOptions, sessionIdContext } from './secure-context.ts';
import { ServerNames, type ServerCertificate } from './server-names.ts';
import type { TlsMaterial } from './tls-material.ts';
import { PeerVerifier } from './verification/peer-verifier.ts';

/** Bounds a handshake that nothing else does. */
const HANDSHAKE_TIMEOUT_MS = 120_000;
const TICKET_KEY_LENGTH = 48;

interface LoadedCertificate extends ServerCertificate {
  readonly model: TlsCertificateModel;
  readonly staple: OcspStaple;
}

/**
 * What the handshakes of a filter chain are made with, for one version of its secrets. Servers are Node's, which never
 * listen: sockets are given to them. There is a second one without ALPN for clients that offer nothing we know, since
 * Node would end their handshakes, and Envoy goes on without.
 */
export class DownstreamTlsContext {
  readonly verifier: PeerVerifier | undefined;
  /** A client without a certificate is refused. */
  readonly requiresCertificate: boolean;
  readonly server: Server;
  readonly #options: TlsOptions;
  readonly #certificates: readonly LoadedCertificate[];
  readonly #names: ServerNames;
  /** By the indices of their certificates. */
  readonly #contexts = new Map<string, SecureContext>();
  #serverWithoutAlpn: Server | undefined;

  /** Throws on what the library refuses: a key that isn't the certificate's, a cipher it doesn't know. */
  constructor(model: DownstreamTlsModel, { certificates, validation }: TlsMaterial, ticketKey: Uint8Array) {
    const verifier = validation === undefined ? undefined : new PeerVerifier(validation, 'client');
    this.verifier = verifier?.isActive === true ? verifier : undefined;
    this.requiresCertificate =
      this.verifier !== undefined &&
      (this.verifier.needsCertificate || (model.requireClientCertificate && this.verifier.verifiesChain));
    this.#certificates = certificates.map((each) => load(each, model.ocspStaplePolicy));
    this.#names = new ServerNames(this.#certificates, model.fullScanCertsOnSniMismatch);

    const { common } = model;
    const resumes = !model.disableStatelessResumption && this.verifier?.checksPath !== true;
    const secure = secureContextOptions({ model: common, validation, verifier, side: 'server' });
    this.#options = {
      ...secure,
      // The order of TLS 1.3 is the client's in Envoy, but OpenSSL has one rule for all versions: what most clients
      // put first comes first here as well.
      honorCipherOrder: !model.preferClientCiphers,
      secureOptions: (secure.secureOptions ?? 0) | (resumes ? 0 : constants.SSL_OP_NO_TICKET),
      sessionIdContext: sessionIdContext(
        this.#certificates.map(({ certificate }) => [certificate?.commonNames, certificate?.sans('dns')]),
        validation,
        model.requireClientCertificate,
      ),
      ...(resumes && { ticketKeys: ticketKeyOf(ticketKey) }),
      ...(model.sessionTimeoutMs !== undefined && { sessionTimeout: Math.floor(model.sessionTimeoutMs / 1000) }),
      requestCert: this.verifier !== undefined,
      // The only way to have a missing certificate answered with its alert; what else it refuses, we would too.
      rejectUnauthorized: this.requiresCertificate && this.verifier?.trustsLibrary === true,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      ...(certificates.length > 1 && {
        SNICallback: (name, callback) => callback(null, this.#contextFor(name)),
      }),
    };
    this.server = createServer({
      ...this.#options,
      ...this.#material(this.#names.withoutServerName),
      ...(common.alpnProtocols.length > 0 && { ALPNProtocols: [...common.alpnProtocols] }),
    });
    this.#listen(this.server);
  }

  get serverWithoutAlpn(): Server {
    if (this.#serverWithoutAlpn === undefined) {
      this.#serverWithoutAlpn = createServer({
        ...this.#options,
        ...this.#material(this.#names.withoutServerName),
      });
      this.#listen(this.#serverWithoutAlpn);
    }
    return this.#serverWithoutAlpn;
  }

  /**
   * The staple of a certificate, as Node names it in OCSPRequest. Undefined: unknown, or it can't be told which of two
   * kinds of keys the client will get.
   */
  stapleOf(der: Buffer): OcspStaple | undefined {
    const loaded = this.#certificates.find(({ certificate }) => certificate?.raw.equals(der));
    return this.#certificates.some((other) => other !== loaded && other.keyKind !== loaded?.keyKind)
      ? undefined
      : loaded?.staple;
  }

  /** Undefined: the server's own. Never throws: it is called by the library. */
  #contextFor(serverName: string): SecureContext | undefined {
    const indices = this.#names.find(serverName);
    const key = indices.join();
    if (key === this.#names.withoutServerName.join()) return undefined;
    let context = this.#contexts.get(key);
    if (context === undefined) {
      context = createSecureContext({ ...this.#options, ...this.#material(indices) });
      this.#contexts.set(key, context);
    }
    return context;
  }

  #material(indices: readonly number[]): SecureContextOptions {
    return certificateOptions(indices.map((index) => this.#certificates[index]!.model));
  }

  /** Node asks for what somebody listens for; the events come to the handshakes. */
  #listen(server: Server): void {
    const asks = this.#certificates.some(({ staple }) => staple.response !== undefined || staple.isRequired);
    if (asks) server.on('OCSPRequest', nothing);
  }
}

function nothing(): void {}

function load(model: TlsCertificateModel, policy: DownstreamTlsModel['ocspStaplePolicy']): LoadedCertificate {
  const leaf = model.certificateChain === '' ? undefined : new X509Certificate(model.certificateChain);
  const certificate = leaf === undefined ? undefined : Certificate.read(leaf.raw);
  const type = leaf?.publicKey.asymmetricKeyType;
  return {
    model,
    certificate,
    keyKind: type === 'rsa' || type === 'rsa-pss' ? 'rsa' : type === 'ec' ? 'ecdsa' : 'other',
    staple: new OcspStaple(model, certificate, policy),
  };
}

/** Envoy's keys have 80 bytes; ours need fewer. */
function ticketKeyOf(key: Uint8Array): Buffer {
  if (key.length === TICKET_KEY_LENGTH) return Buffer.from(key);
  return createHash('sha512').update(key).digest().subarray(0, TICKET_KEY_LENGTH);
}
