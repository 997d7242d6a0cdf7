import { sign, type KeyObject } from 'node:crypto';
import { bits, boolean, explicit, implicit, integer, octets, oid, sequence, setOf, der } from './der-writer.ts';
import { pemOf } from './pem.ts';

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';
const SUBJECT_ALT_NAME = '2.5.29.17';
const URI_NAME = 6;
/** With SHA-256, by the type of the key. */
const ALGORITHMS: Readonly<Record<string, Buffer>> = {
  ec: sequence(oid('1.2.840.10045.4.3.2')),
  rsa: sequence(oid('1.2.840.113549.1.1.11'), der(0x05)),
};

/**
 * A certification request (PKCS #10, RFC 2986) as PEM, for an EC or RSA key: no subject, and a URI as the subject's
 * alternative name, critical since it is all there is (RFC 5280, 4.2.1.6).
 */
export function certificateRequest({ publicKey, privateKey }: KeyPair, uri: string): string {
  const name = sequence(implicit(URI_NAME, Buffer.from(uri, 'latin1')));
  const extensions = sequence(sequence(oid(SUBJECT_ALT_NAME), boolean(true), octets(name)));
  const info = sequence(
    integer('00'),
    sequence(),
    publicKey.export({ type: 'spki', format: 'der' }),
    explicit(0, sequence(oid(EXTENSION_REQUEST), setOf(extensions))),
  );
  const algorithm = ALGORITHMS[privateKey.asymmetricKeyType ?? ''];
  if (algorithm === undefined) throw new TypeError(`no requests with a key of type ${privateKey.asymmetricKeyType}`);
  return pemOf('CERTIFICATE REQUEST', sequence(info, algorithm, bits(sign('sha256', info, privateKey))));
}
