import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { IstioCertificateRequestSchema, IstioCertificateResponseSchema } from '../../api/generated/istio/ca_pb.js';
import { readSecretData } from '../../config/builders/tls/data-source.ts';
import type { CertificateAuthorityModel, IssuedSecretNames } from '../../config/certificate-authority-model.ts';
import { Problems } from '../../config/problem.ts';
import { certificateRequest, type KeyPair } from '../../lib/x509/certificate-request.ts';
import { Certificate } from '../../lib/x509/certificate.ts';
import { isCertificateBlock, readPem } from '../../lib/x509/pem.ts';
import type { GrpcChannel } from '../grpc-channel.ts';
import { issuedSecrets } from './issued-secrets.ts';

export interface IssuedCertificate {
  /** Serialised Secrets, by name: the whole chain with its key, and the last certificate of the chain as the root. */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  /** Of the leaf, hex. */
  readonly serial: string;
  /** ms since the epoch. */
  readonly expiresMs: number;
}

const METHOD = '/istio.v1.auth.IstioCertificateService/CreateCertificate';
const generate = promisify(generateKeyPair);

/**
 * Makes a key and has it certified by Istio's certificate service. Resolves to the reason if there is no certificate;
 * rejects never. The key doesn't leave the process.
 */
export async function requestCertificate(
  model: CertificateAuthorityModel,
  channel: GrpcChannel,
): Promise<IssuedCertificate | string> {
  const problems = new Problems();
  const token = readSecretData(model.token, false, problems).bytes.toString('latin1').trim();
  const [unread] = problems.list;
  if (unread !== undefined) return `the token can't be read: ${unread.message}`;
  // It must not get into an error message: as a header it is looked at here.
  if (!/^[\x21-\x7e]+$/.test(token)) return 'the token is empty, or no token';
  const keys = await newKeys(model.keyType);
  const request = create(IstioCertificateRequestSchema, {
    csr: certificateRequest(keys, model.spiffeId),
    validityDuration: BigInt(model.requestedTtlSeconds),
  });
  const response = await channel.call(
    METHOD,
    toBinary(IstioCertificateRequestSchema, request),
    model.requestTimeoutMs,
    [
      ['authorization', `Bearer ${token}`],
      ['clusterid', model.clusterId],
    ],
  );
  if ('code' in response) return `gRPC status ${response.code}: ${response.details}`;
  return readChain(response, keys, model.names);
}

function readChain(
  response: Uint8Array,
  { privateKey }: KeyPair,
  names: IssuedSecretNames,
): IssuedCertificate | string {
  let chain: readonly string[];
  try {
    chain = fromBinary(IstioCertificateResponseSchema, response).certChain;
  } catch {
    return `not a serialised ${IstioCertificateResponseSchema.typeName}`;
  }
  const blocks = chain.flatMap((pem) => readPem(pem)?.filter(isCertificateBlock) ?? []);
  const [first, last] = [blocks[0], blocks.at(-1)];
  if (first === undefined || last === undefined || blocks.length < 2) return 'the chain has no certificate, or no root';
  const leaf = Certificate.read(first.der);
  if (leaf === undefined || Number.isNaN(leaf.validToMs)) return 'the certificate is malformed';
  const texts = {
    chain: blocks.map(({ text }) => withLineEnd(text)).join(''),
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    root: withLineEnd(last.text),
  };
  return {
    secrets: issuedSecrets(texts, names),
    serial: leaf.serial,
    expiresMs: leaf.validToMs,
  };
}

const withLineEnd = (text: string): string => (text.endsWith('\n') ? text : `${text}\n`);

function newKeys(type: CertificateAuthorityModel['keyType']): Promise<KeyPair> {
  return type === 'p256' ? generate('ec', { namedCurve: 'P-256' }) : generate('rsa', { modulusLength: 2048 });
}
