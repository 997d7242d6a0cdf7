import type { ClusterModel } from '../config/cluster-model.ts';
import type { ListenerModel } from '../config/listener-model.ts';
import type { SecretModel, SecretSource, TlsCertificateModel } from '../config/secret-model.ts';
import { clusterTlsContexts, listenerTlsContexts } from '../config/tls-contexts-of.ts';
import type { CommonTlsModel } from '../config/transport-socket-model.ts';
import { Certificate } from '../lib/x509/certificate.ts';
import { readOcspResponse, type OcspResponse } from '../lib/x509/ocsp-response.ts';
import { isCertificateBlock, readPem } from '../lib/x509/pem.ts';

/** One certificate in use. */
export interface CertificateInUse {
  /** The file, or `<inline>`. */
  readonly path: string;
  readonly certificate: Certificate;
  /** What is stapled to it. */
  readonly ocsp: OcspResponse | undefined;
}

/** The certificates of one TLS context. */
export interface TlsContextCertificates {
  /** The first CA, if there is one. */
  readonly trustedCa: CertificateInUse | undefined;
  /** Leaves; those in PKCS #12 are missing. */
  readonly chain: readonly CertificateInUse[];
}

/** The certificates that clusters and listeners use, read once a configuration. */
export class CertificateReport {
  readonly contexts: readonly TlsContextCertificates[];

  constructor(
    clusters: readonly ClusterModel[],
    listeners: readonly ListenerModel[],
    secret: (name: string) => SecretModel | undefined,
  ) {
    this.contexts = [...clusters.flatMap(clusterTlsContexts), ...listeners.flatMap(listenerTlsContexts)].flatMap(
      (context) => readContext(context, secret) ?? [],
    );
  }

  /** The first expiry of all, ms since the epoch; undefined without certificates. */
  get firstExpiryMs(): number | undefined {
    return least(this.#all.map(({ certificate }) => certificate.validToMs));
  }

  /** The first `nextUpdate` of all staples, ms since the epoch; undefined without staples. */
  get firstOcspExpiryMs(): number | undefined {
    return least(this.#all.flatMap(({ ocsp }) => (ocsp === undefined ? [] : [ocsp.nextUpdateMs ?? 0])));
  }

  get #all(): CertificateInUse[] {
    return this.contexts.flatMap(({ trustedCa, chain }) => (trustedCa === undefined ? chain : [trustedCa, ...chain]));
  }
}

const least = (values: readonly number[]): number | undefined =>
  values.length === 0 ? undefined : values.reduce((a, b) => Math.min(a, b));

/** Undefined: secrets are missing, so the context doesn't exist yet. */
function readContext(
  { certificates, validation }: CommonTlsModel,
  secret: (name: string) => SecretModel | undefined,
): TlsContextCertificates | undefined {
  const values = certificates.map((source) => valueOf(source, secret));
  const dynamic = validation?.secret === undefined ? undefined : secret(validation.secret);
  if (values.includes(undefined) || (validation?.secret !== undefined && dynamic === undefined)) return undefined;
  const delivered = dynamic?.kind === 'validation' ? dynamic.value : undefined;
  const ca = delivered !== undefined && delivered.trustedCa !== '' ? delivered : (validation?.inline ?? delivered);
  const first = ca === undefined ? undefined : readFirst(ca.trustedCa);
  const trustedCa = first && { path: ca!.path, certificate: first, ocsp: undefined };
  const chain: CertificateInUse[] = [];
  for (const value of values) {
    const certificate = readFirst(value!.certificateChain);
    if (certificate === undefined) continue;
    const ocsp = value!.ocspStaple && readOcspResponse(Buffer.from(value!.ocspStaple));
    chain.push({ path: value!.path, certificate, ocsp: typeof ocsp === 'string' ? undefined : ocsp });
  }
  return { trustedCa, chain };
}

function valueOf(
  source: SecretSource<TlsCertificateModel>,
  secret: (name: string) => SecretModel | undefined,
): TlsCertificateModel | undefined {
  if (source.kind === 'inline') return source.value;
  const found = secret(source.name);
  return found?.kind === 'certificate' ? found.value : undefined;
}

function readFirst(pem: string): Certificate | undefined {
  const block = readPem(pem)?.find(isCertificateBlock);
  return block === undefined ? undefined : Certificate.read(block.der);
}
