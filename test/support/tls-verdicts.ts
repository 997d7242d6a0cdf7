import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CertificateAuthority, encryptedKey } from './certificates.ts';

/** A bootstrap with TLS in it, and what Envoy 1.40 says of it. */
export interface TlsVerdict {
  readonly name: string;
  readonly yaml: string;
  /** Envoy's error; '' = it accepts it. */
  readonly error: string;
}

/** Writes certificates into `dir` and returns bootstraps that use them, with Envoy's verdicts. */
export function tlsVerdicts(dir: string): TlsVerdict[] {
  const file = (name: string): string => join(dir, name);
  const write = (name: string, content: string | Buffer): void => writeFileSync(file(name), content);
  const ca = CertificateAuthority.create();
  const leaf = ca.issue({ dns: ['a.test'] });
  const other = ca.issue({ dns: ['b.test'] });
  const issued = {
    leaf,
    rsa: ca.issue({ key: 'rsa', dns: ['r.test'] }),
    small: ca.issue({ key: 'rsa1024', dns: ['s.test'] }),
    p384: ca.issue({ key: 'p384', dns: ['p.test'] }),
    must: ca.issue({ dns: ['m.test'], mustStaple: true }),
    nameless: ca.issue({ commonName: '' }),
    expired: ca.issue({ dns: ['e.test'], notBefore: new Date(0), notAfter: new Date(1e12) }),
  };
  for (const [name, { certificate, key }] of Object.entries(issued)) {
    write(`${name}.pem`, certificate);
    write(`${name}.key`, key);
  }
  write('other.key', other.key);
  write('encrypted.key', encryptedKey(leaf, 'secret'));
  write('ca.pem', ca.certificate);
  write('crl.pem', ca.crl());
  write('empty', '');
  write('garbage', 'hello');
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  write('broken.pem', broken);
  write('broken-chain.pem', leaf.certificate + broken);
  write('leaf.ocsp', ca.ocsp(leaf));
  write('other.ocsp', ca.ocsp(other));
  write('must.ocsp', ca.ocsp(issued.must));
  write('ticket.key', Buffer.alloc(80, 1));
  write('short.key', Buffer.alloc(79, 1));

  const from = (name: string): string => `{filename: ${file(name)}}`;
  const cert = (chain = 'leaf.pem', key = 'leaf.key', more = ''): string =>
    `{certificate_chain: ${from(chain)}, private_key: ${from(key)}${more}}`;
  const certs = (...list: readonly string[]): string => `tls_certificates: [${list.join(', ')}]`;
  const ok = certs(cert());
  const node = 'node: {id: proxy, cluster: test}\n';
  const down = (common: string, more = '', secrets = ''): string =>
    `${node}static_resources: {${secrets} listeners: [{name: a, address: {socket_address: {address: 127.0.0.1, port_value: 0}}, ` +
    'filter_chains: [{transport_socket: {name: envoy.transport_sockets.tls, typed_config: {"@type": ' +
    `type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext, common_tls_context: {${common}}${more}}}, ` +
    'filters: [{name: t, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, ' +
    'stat_prefix: t, cluster: c}}]}]}], clusters: [{name: c}]}';
  const up = (common: string, more = '', secrets = ''): string =>
    `${node}static_resources: {${secrets} clusters: [{name: c, transport_socket: {name: envoy.transport_sockets.tls, typed_config: ` +
    '{"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, ' +
    `common_tls_context: {${common}}${more}}}}]}`;
  const socket = (transportSocket: string): string =>
    `${node}static_resources: {clusters: [{name: c, transport_socket: ${transportSocket}}]}`;
  const validation = (fields: string): string => up(`validation_context: {${fields}}`);
  const trusted = `trusted_ca: ${from('ca.pem')}`;
  const san = (fields: string): string => `match_typed_subject_alt_names: [{${fields}}]`;
  const dnsSan = san('san_type: DNS, matcher: {exact: a}');
  const staple = (name: string): string => `, ocsp_staple: ${from(name)}`;
  const spiffe = (fields: string): string =>
    validation(
      'custom_validator_config: {name: envoy.tls.cert_validator.spiffe, typed_config: {"@type": ' +
        `type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig, ${fields}}}`,
    );
  const suites = (...list: readonly string[]): string =>
    up(`tls_params: {cipher_suites: [${list.map((each) => JSON.stringify(each)).join(', ')}]}`);
  const rejected = (all: string, ...bad: readonly string[]): string =>
    `Failed to initialize cipher suites ${all}. The following ciphers were rejected when tried individually: ${bad.join(', ')}`;
  const secrets = (...list: readonly string[]): string => `secrets: [${list.join(', ')}],`;
  const named = 'tls_certificate_sds_secret_configs: [{name: s}]';
  const hex = 'ab'.repeat(32);
  const chainFailed = (name: string): string => `Failed to load certificate chain from ${file(name)}`;
  const keyFailed = (name: string, cause: string): string =>
    `Failed to load private key from ${file(name)}, Cause: error:${cause}`;
  const caFailed = (name: string): string => `Failed to load trusted CA certificates from ${file(name)}`;
  const unauthorized = 'SAN-based verification of peer certificates without trusted CA is insecure and not allowed';

  const table: readonly (readonly [name: string, yaml: string, error?: string])[] = [
    ['a certificate', down(ok)],
    ['no certificate', down(''), 'No TLS certificates found for server context'],
    ['an empty certificate', down(certs('{}')), 'Server TlsCertificates must have a certificate specified'],
    [
      'a file that is missing',
      down(certs(cert('nope'))),
      `Failed to load incomplete certificate from ${file('nope')}: certificate chain not set`,
    ],
    [
      'an empty file',
      down(certs(cert('empty'))),
      `Failed to load incomplete certificate from ${file('empty')}: certificate chain not set`,
    ],
    ['a chain that is no PEM', down(certs(cert('garbage'))), chainFailed('garbage')],
    ['a broken certificate', down(certs(cert('broken.pem'))), chainFailed('broken.pem')],
    ['a broken certificate after the leaf', down(certs(cert('broken-chain.pem'))), chainFailed('broken-chain.pem')],
    [
      'no private key',
      down(certs(`{certificate_chain: ${from('leaf.pem')}}`)),
      'Failed to load incomplete private key from path: ',
    ],
    [
      "another certificate's key",
      down(certs(cert('leaf.pem', 'other.key'))),
      keyFailed('other.key', '0b000074:X.509 certificate routines:OPENSSL_internal:KEY_VALUES_MISMATCH'),
    ],
    [
      'a key of another type',
      down(certs(cert('leaf.pem', 'rsa.key'))),
      keyFailed('rsa.key', '0b000073:X.509 certificate routines:OPENSSL_internal:KEY_TYPE_MISMATCH'),
    ],
    [
      'a key that is none',
      down(certs(cert('leaf.pem', 'leaf.pem'))),
      keyFailed('leaf.pem', '0900006e:PEM routines:OPENSSL_internal:NO_START_LINE'),
    ],
    [
      'an encrypted key without a password',
      down(certs(cert('leaf.pem', 'encrypted.key'))),
      keyFailed('encrypted.key', '09000068:PEM routines:OPENSSL_internal:BAD_PASSWORD_READ'),
    ],
    [
      'an encrypted key and a wrong password',
      down(certs(cert('leaf.pem', 'encrypted.key', ', password: {inline_string: nope}'))),
      keyFailed('encrypted.key', '1e000065:Cipher functions:OPENSSL_internal:BAD_DECRYPT'),
    ],
    [
      'an encrypted key and its password',
      down(certs(cert('leaf.pem', 'encrypted.key', ', password: {inline_string: secret}'))),
    ],
    [
      'a short RSA key',
      down(certs(cert('small.pem', 'small.key'))),
      `${chainFailed('small.pem')}, only RSA certificates with 2048-bit or larger keys are supported`,
    ],
    ['P-384', down(certs(cert('p384.pem', 'p384.key')))],
    ['an expired certificate', down(certs(cert('expired.pem', 'expired.key')))],
    [
      'a server certificate without a name',
      down(certs(cert('nameless.pem', 'nameless.key'))),
      'Invalid TLS context has neither subject CN nor SAN names',
    ],
    ['a client certificate without a name', up(certs(cert('nameless.pem', 'nameless.key')))],
    ['two certificates', down(certs(cert(), cert('rsa.pem', 'rsa.key')))],
    [
      'two client certificates',
      up(certs(cert(), cert('rsa.pem', 'rsa.key'))),
      'Multiple TLS certificates are not supported for client contexts',
    ],
    [
      'a must-staple certificate alone',
      down(certs(cert('must.pem', 'must.key'))),
      'OCSP response is required for must-staple certificate',
    ],
    ['a must-staple certificate with its staple', down(certs(cert('must.pem', 'must.key', staple('must.ocsp'))))],
    ['a staple', down(certs(cert('leaf.pem', 'leaf.key', staple('leaf.ocsp'))))],
    [
      'a staple of another certificate',
      down(certs(cert('leaf.pem', 'leaf.key', staple('other.ocsp')))),
      'OCSP response does not match its TLS certificate',
    ],
    [
      'a staple that is none',
      down(certs(cert('leaf.pem', 'leaf.key', staple('garbage')))),
      'Data contained more than a single OCSP response',
    ],
    [
      'a staple as text',
      down(certs(cert('leaf.pem', 'leaf.key', ', ocsp_staple: {inline_string: x}'))),
      'OCSP staple cannot be provided via inline_string',
    ],
    [
      'MUST_STAPLE without a staple',
      down(ok, ', ocsp_staple_policy: MUST_STAPLE'),
      'Required OCSP response is missing from TLS context',
    ],
    [
      'PKCS #12 that is none',
      down(certs(`{pkcs12: ${from('garbage')}}`)),
      `Failed to load pkcs12 from ${file('garbage')}`,
    ],
    [
      'PKCS #12 and a key',
      down(certs(`{pkcs12: ${from('garbage')}, private_key: ${from('leaf.key')}}`)),
      "Certificate configuration can't have both pkcs12 and private_key",
    ],
    [
      'an unknown private key provider',
      down(certs(`{certificate_chain: ${from('leaf.pem')}, private_key_provider: {provider_name: nope}}`)),
      'Failed to load private key provider: nope',
    ],
    ['an unknown cipher suite', suites('NOPE'), rejected('NOPE', 'NOPE')],
    [
      'unknown cipher suites among known ones',
      suites('ECDHE-RSA-AES128-GCM-SHA256', 'BAD', 'WORSE'),
      rejected('ECDHE-RSA-AES128-GCM-SHA256:BAD:WORSE', 'BAD', 'WORSE'),
    ],
    [
      'a suite of TLS 1.3',
      suites('TLS_AES_128_GCM_SHA256'),
      rejected('TLS_AES_128_GCM_SHA256', 'TLS_AES_128_GCM_SHA256'),
    ],
    ['a suite that only OpenSSL has', suites('AES128-SHA256'), rejected('AES128-SHA256', 'AES128-SHA256')],
    ['an IANA name', suites('TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256')],
    ['aliases', suites('ECDHE+AESGCM')],
    ['a group', suites('[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]')],
    ['a group that does not end', suites('[ECDHE-RSA-AES128-GCM-SHA256'), rejected('[ECDHE-RSA-AES128-GCM-SHA256')],
    ['suites taken away from nothing', suites('-ALL'), rejected('-ALL')],
    ['a curve by its other name', up('tls_params: {ecdh_curves: [prime256v1]}')],
    ['an unknown curve', up('tls_params: {ecdh_curves: [X448]}'), 'Failed to initialize ECDH curves X448'],
    ['a signature algorithm', up('tls_params: {signature_algorithms: ["PSS+SHA512"]}')],
    [
      'an unknown signature algorithm',
      up('tls_params: {signature_algorithms: [nope]}'),
      'Failed to initialize TLS signature algorithms nope',
    ],
    ['a CA', validation(trusted)],
    ['a leaf as CA', validation(`trusted_ca: ${from('leaf.pem')}`)],
    ['a CA that is missing', validation(`trusted_ca: ${from('nope')}`), `Invalid path: ${file('nope')}`],
    ['an empty CA', validation(`trusted_ca: ${from('empty')}`), `file ${file('empty')} is empty`],
    ['a CA that is no PEM', validation(`trusted_ca: ${from('garbage')}`), caFailed('garbage')],
    ['a CA that is a key', validation(`trusted_ca: ${from('leaf.key')}`), caFailed('leaf.key')],
    [
      'a CA bundle with a broken end',
      validation(`trusted_ca: ${from('broken-chain.pem')}`),
      caFailed('broken-chain.pem'),
    ],
    [
      'an inline CA that is none',
      validation('trusted_ca: {inline_string: hello}'),
      'Failed to load trusted CA certificates from <inline>',
    ],
    [
      'a CA from a variable that is not set',
      validation('trusted_ca: {environment_variable: NO_SUCH_VARIABLE}'),
      "Environment variable doesn't exist: NO_SUCH_VARIABLE",
    ],
    ['a CRL', validation(`${trusted}, crl: ${from('crl.pem')}`)],
    [
      'a broken CRL',
      validation(`${trusted}, crl: ${from('broken.pem')}`),
      `Failed to load CRL from ${file('broken.pem')}`,
    ],
    [
      'a CRL without CA',
      validation(`crl: ${from('crl.pem')}`),
      `Failed to load CRL from ${file('crl.pem')} without trusted CA`,
    ],
    ['names', validation(`${trusted}, ${dnsSan}`)],
    ['names without CA', validation(dnsSan), unauthorized],
    ['deprecated names without CA', validation('match_subject_alt_names: [{exact: a}]'), unauthorized],
    ['an other-name', validation(`${trusted}, ${san('san_type: OTHER_NAME, oid: 1.2.3, matcher: {exact: a}')}`)],
    [
      'an other-name without OID',
      validation(`${trusted}, ${san('san_type: OTHER_NAME, matcher: {exact: a}')}`),
      'Failed to create SAN matcher for OTHER_NAME with OID: ',
    ],
    [
      'expired ones without CA',
      validation('allow_expired_certificate: true'),
      'Certificate validity period is always ignored without trusted CA',
    ],
    ['a hash', validation(`verify_certificate_hash: ["${hex}"]`)],
    ['a hash with colons', validation(`verify_certificate_hash: ["${Array(32).fill('AB').join(':')}"]`)],
    [
      'a hash that is too long',
      validation(`verify_certificate_hash: ["${hex}ab"]`),
      `Invalid hex-encoded SHA-256 ${hex}ab`,
    ],
    ['the hash of a key', validation('verify_certificate_spki: ["NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A="]')],
    [
      'the hash of a key that is no Base64',
      validation('verify_certificate_spki: ["NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9!="]'),
      'Invalid base64-encoded SHA-256 NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9!=',
    ],
    ['SPIFFE trust domains', spiffe(`trust_domains: [{name: a.com, trust_bundle: ${from('ca.pem')}}]`)],
    [
      'a SPIFFE bundle that is none',
      spiffe(`trust_domains: [{name: a.com, trust_bundle: ${from('garbage')}}]`),
      'Failed to load trusted CA certificate for a.com',
    ],
    [
      'an unknown validator',
      validation(
        'custom_validator_config: {name: nope, typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer}}',
      ),
      'Failed to get certificate validator factory for nope',
    ],
    ['ticket keys', down(ok, `, session_ticket_keys: {keys: [${from('ticket.key')}]}`)],
    [
      'a short ticket key',
      down(ok, `, session_ticket_keys: {keys: [${from('short.key')}]}`),
      'Incorrect TLS session ticket key length. Length 79, expected length 80.',
    ],
    ['a static secret', down(named, '', secrets(`{name: s, tls_certificate: ${cert()}}`))],
    ['a static secret that is unknown', down(named), 'Unknown static secret: s'],
    [
      'a static secret of another kind',
      down(named, '', secrets(`{name: s, validation_context: {${trusted}}}`)),
      'Unknown static secret: s',
    ],
    [
      'a static secret that is broken',
      down(named, '', secrets(`{name: s, tls_certificate: ${cert('garbage')}}`)),
      chainFailed('garbage'),
    ],
    [
      'a broken static secret that nobody uses',
      down(ok, '', secrets(`{name: s, tls_certificate: ${cert('garbage')}}`)),
    ],
    [
      'two static secrets of one name',
      down(ok, '', secrets(`{name: s, tls_certificate: ${cert()}}`, `{name: s, tls_certificate: ${cert()}}`)),
      'Duplicate static TlsCertificate secret name s',
    ],
    ['a static secret without a type', down(ok, '', secrets('{name: s}')), 'Secret type not implemented'],
    [
      'a validation context that is unknown',
      up('validation_context_sds_secret_config: {name: v}'),
      'Unknown static certificate validation context: v',
    ],
    [
      'ticket keys that are unknown',
      down(ok, ', session_ticket_keys_sds_secret_config: {name: t}'),
      'Unknown tls session ticket keys: t',
    ],
    [
      'certificates inline and by name',
      down(`${ok}, ${named}`, '', secrets(`{name: s, tls_certificate: ${cert()}}`)),
      'SDS and non-SDS TLS certificates may not be mixed in server contexts',
    ],
    [
      'a combined validation context',
      up(
        `combined_validation_context: {default_validation_context: {${dnsSan}}, validation_context_sds_secret_config: {name: v}}`,
        '',
        secrets(`{name: v, validation_context: {${trusted}}}`),
      ),
    ],
    [
      'a combined validation context without CA',
      up(
        `combined_validation_context: {default_validation_context: {${dnsSan}}, validation_context_sds_secret_config: {name: v}}`,
        '',
        secrets('{name: v, validation_context: {}}'),
      ),
      unauthorized,
    ],
    [
      'secrets from a file that is missing',
      up(`validation_context_sds_secret_config: {name: v, sds_config: {path_config_source: {path: ${file('nope')}}}}`),
      `paths must refer to an existing path in the system: '${file('nope')}' does not exist`,
    ],
    [
      'secrets from a file',
      up(
        `validation_context_sds_secret_config: {name: v, sds_config: {path_config_source: {path: ${file('garbage')}}}}`,
      ),
    ],
    [
      'secrets from a file without a node',
      up(
        `validation_context_sds_secret_config: {name: v, sds_config: {path_config_source: {path: ${file('garbage')}}}}`,
      ).slice(node.length),
      "CertificateValidationContextSdsApi: node 'id' and 'cluster' are required. Set it either in 'node' config or via --service-node and --service-cluster options.",
    ],
    ['a long ALPN protocol', up(`alpn_protocols: ["${'a'.repeat(256)}"]`), 'Invalid ALPN protocol string'],
    ['an SNI with a NUL', up('', ', sni: "a\\0b"'), 'SNI names containing NULL-byte are not allowed'],
    [
      'auto_sni_san_validation alone',
      up('', ', auto_sni_san_validation: true'),
      "'auto_sni_san_validation' was configured without a validation context",
    ],
    [
      'auto_sni_san_validation without CA',
      up('validation_context: {}', ', auto_sni_san_validation: true'),
      "'auto_sni_san_validation' was configured without configuring a trusted CA",
    ],
    [
      'auto_sni_san_validation',
      up(`validation_context: {${trusted}}`, ', auto_sni_san_validation: true, auto_host_sni: true'),
    ],
    [
      'a key log in no folder',
      up('key_log: {path: /no/such/folder/keys.log}'),
      "unable to open file '/no/such/folder/keys.log': No such file or directory",
    ],
    [
      'a transport socket without a type',
      socket('{name: envoy.transport_sockets.tls}'),
      "Didn't find a registered implementation for 'envoy.transport_sockets.tls' with type URL: ''",
    ],
    [
      'the context of a server in a cluster',
      socket(
        '{name: t, typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext}}',
      ),
      "Didn't find a registered implementation for 't' with type URL: 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext'",
    ],
    [
      'a PROXY protocol header',
      socket(
        '{name: p, typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport, ' +
          'config: {version: V2, pass_through_tlvs: {match_type: INCLUDE, tlv_type: [1, 234]}, added_tlvs: [{type: 240, value: YQ==}]}, ' +
          'transport_socket: {name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer}}}}',
      ),
    ],
    [
      'a PROXY protocol TLV without a value',
      socket(
        '{name: p, typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport, ' +
          'config: {version: V2, added_tlvs: [{type: 240}]}, ' +
          'transport_socket: {name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer}}}}',
      ),
      "Invalid TLV configuration: one of 'value' or 'format_string' must be set.",
    ],
  ];
  return table.map(([name, yaml, error = '']) => ({ name, yaml, error }));
}
