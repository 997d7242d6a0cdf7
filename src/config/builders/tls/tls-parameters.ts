import type { TlsParameters } from '../../../api/generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import type { TypeRegistry } from '../../../api/type-registry.ts';
import type { Problems } from '../../problem.ts';
import type { CommonTlsModel, TlsVersion } from '../../transport-socket-model.ts';
import { reportUnsupportedFields } from '../unsupported-fields.ts';
import {
  DEFAULT_CIPHER_SUITES,
  rejectedCipherSuites,
  selectCipherSuites,
  UNAVAILABLE_CIPHER_SUITES,
} from './cipher-suites.ts';
import { DEFAULT_CURVES, selectCurves, selectSignatureAlgorithms } from './named-lists.ts';

const VERSIONS: readonly TlsVersion[] = ['auto', 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];

type TlsParametersModel = Pick<
  CommonTlsModel,
  'minVersion' | 'maxVersion' | 'cipherSuites' | 'ecdhCurves' | 'signatureAlgorithms'
>;

/** transport_sockets.tls.v3.TlsParameters; `problems` stands at it. */
export function buildTlsParameters(
  message: TlsParameters | undefined,
  types: TypeRegistry,
  problems: Problems,
): TlsParametersModel {
  if (message !== undefined)
    reportUnsupportedFields(
      types,
      message,
      [
        'tls_minimum_protocol_version',
        'tls_maximum_protocol_version',
        'cipher_suites',
        'ecdh_curves',
        'signature_algorithms',
        'compliance_policies',
      ],
      problems,
    );
  if (message !== undefined && message.compliancePolicies.length > 0)
    problems.at('compliance_policies').error('unsupported: compliance policies are not implemented');
  return {
    minVersion: VERSIONS[message?.tlsMinimumProtocolVersion ?? 0] ?? 'auto',
    maxVersion: VERSIONS[message?.tlsMaximumProtocolVersion ?? 0] ?? 'auto',
    cipherSuites: buildCipherSuites(message?.cipherSuites ?? [], problems.at('cipher_suites')),
    ecdhCurves: buildCurves(message?.ecdhCurves ?? [], problems.at('ecdh_curves')),
    signatureAlgorithms: buildSignatureAlgorithms(message?.signatureAlgorithms ?? [], problems),
  };
}

function buildCipherSuites(list: readonly string[], problems: Problems): string {
  const expression = list.join(':') || DEFAULT_CIPHER_SUITES;
  const names = selectCipherSuites(expression);
  if (names === undefined) {
    const rejected = rejectedCipherSuites(expression).join(', ');
    problems.error(
      `Failed to initialize cipher suites ${expression}. The following ciphers were rejected when tried individually: ${rejected}`,
    );
    return '';
  }
  const available = names.filter((name) => !UNAVAILABLE_CIPHER_SUITES.has(name));
  if (available.length === 0) problems.error(`unsupported: OpenSSL has none of the cipher suites ${names.join(', ')}`);
  else
    for (const name of names)
      if (UNAVAILABLE_CIPHER_SUITES.has(name))
        problems.unsupported(`[${list.findIndex((each) => each.includes(name))}]`, `OpenSSL has no ${name}`);
  return available.join(':');
}

function buildCurves(list: readonly string[], problems: Problems): string {
  const names = list.join(':') || DEFAULT_CURVES;
  const selected = selectCurves(names);
  if (selected === undefined) problems.error(`Failed to initialize ECDH curves ${names}`);
  return selected ?? '';
}

function buildSignatureAlgorithms(list: readonly string[], problems: Problems): string {
  const names = list.join(':');
  if (names === '') return '';
  const selected = selectSignatureAlgorithms(names);
  if (selected === undefined)
    problems.at('signature_algorithms').error(`Failed to initialize TLS signature algorithms ${names}`);
  else if (selected === '')
    problems.at('signature_algorithms').error(`unsupported: OpenSSL has none of the signature algorithms ${names}`);
  return selected ?? '';
}
