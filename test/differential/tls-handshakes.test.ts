import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import {
  connect as connectTcp,
  createServer as createTcpServer,
  type AddressInfo,
  type Server,
  type Socket,
} from 'node:net';
import {
  connect as connectTls,
  createServer as createTlsServer,
  type ConnectionOptions,
  type TlsOptions,
} from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CertificateAuthority, selfSigned, spkiHash, type IssuedCertificate } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { OUTRIGGER, ProxyProcess } from '../support/proxy-process.ts';
import { findTool } from '../support/tools.ts';

/**
 * Who may connect, and what is told of those who may not: the answer, the failure in the log, and the `ssl.` stats, as a
 * real Envoy and Outrigger have them. Which suite of TLS 1.3 is taken is compared too. Curves and signature algorithms
 * aren't: our TLS library tells of them on clients only, or not at all.
 */
const envoyBinary = findTool('envoy');
const EXTENSIONS = 'type.googleapis.com/envoy.extensions';
const TLS = `${EXTENSIONS}.transport_sockets.tls.v3`;
const DAY_MS = 86_400_000;

type Fields = Readonly<Record<string, unknown>>;
const inline = (text: string): Fields => ({ inline_string: text });
const pair = ({ chain, key }: IssuedCertificate): Fields => ({
  certificate_chain: inline(chain),
  private_key: inline(key),
});

const past = { notBefore: new Date(Date.now() - 2 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) };
const ca = CertificateAuthority.create({ commonName: 'root' });
const other = CertificateAuthority.create({ commonName: 'other root' });
const middle = ca.intermediate({ commonName: 'middle' });
const lower = middle.intermediate({ commonName: 'lower' });
const one = CertificateAuthority.create({ commonName: 'one' });
const two = CertificateAuthority.create({ commonName: 'two' });
const issued = {
  server: ca.issue({ commonName: 'server', dns: ['server.example', '*.wild.example'], ip: ['127.0.0.1'] }),
  wild: ca.issue({ commonName: 'wild', dns: ['*.other.example'] }),
  rsa: ca.issue({ commonName: 'rsa', dns: ['server.example'], key: 'rsa' }),
  cn: ca.issue({ commonName: 'cn.example' }),
  client: ca.issue({
    commonName: 'client',
    dns: ['client.example', '*.client.example'],
    uri: ['spiffe://td/client'],
    email: ['a@client.example'],
    ip: ['10.0.0.1', '2001:db8::1'],
    otherNames: [{ oid: '1.2.3.4', value: 'me' }],
  }),
  nameless: ca.issue({ commonName: 'nameless' }),
  stranger: other.issue({ commonName: 'stranger', dns: ['client.example'] }),
  self: selfSigned({ commonName: 'self' }),
  expired: ca.issue({ commonName: 'expired', ...past }),
  expiredStranger: other.issue({ commonName: 'expired stranger', ...past }),
  revoked: ca.issue({ commonName: 'revoked' }),
  serverOnly: ca.issue({ commonName: 'server only', extendedKeyUsage: ['server'] }),
  clientOnly: ca.issue({ commonName: 'client only', extendedKeyUsage: ['client'] }),
  belowMiddle: middle.issue({ commonName: 'below middle' }),
  belowLower: lower.issue({ commonName: 'below lower' }),
  spiffeOne: one.issueSpiffe('spiffe://one.test/a'),
  spiffeTwo: two.issueSpiffe('spiffe://two.test/a'),
  impostor: two.issueSpiffe('spiffe://one.test/a'),
  nowhere: one.issueSpiffe('spiffe://three.test/a'),
  signer: one.issueSpiffe('spiffe://one.test/a', { keyUsage: ['digitalSignature', 'keyCertSign'] }),
};
type Name = keyof typeof issued;
const fingerprint = createHash('sha256').update(issued.client.der).digest('hex');
const colons = fingerprint.replaceAll(/..(?!$)/g, '$&:');
const crl = ca.crl([issued.revoked.serial]);

const trusting = (more: Fields = {}): Fields => ({ trusted_ca: inline(ca.certificate), ...more });
const san = (san_type: string, matcher: Fields, more: Fields = {}): Fields => ({
  match_typed_subject_alt_names: [{ san_type, matcher, ...more }],
});
const spiffe = (more: Fields = {}): Fields => ({
  custom_validator_config: {
    name: 'envoy.tls.cert_validator.spiffe',
    typed_config: {
      '@type': `${TLS}.SPIFFECertValidatorConfig`,
      trust_domains: [
        { name: 'one.test', trust_bundle: inline(one.certificate) },
        { name: 'two.test', trust_bundle: inline(two.certificate) },
      ],
    },
  },
  ...more,
});
const range = (low: string, high = low): Fields => ({
  tls_params: { tls_minimum_protocol_version: low, tls_maximum_protocol_version: high },
});

/** A listener, by what its clients must be. `true`: they must have a certificate. */
const mutual = (validation_context: Fields, require = true, common: Fields = {}): Fields => ({
  require_client_certificate: require,
  common_tls_context: { tls_certificates: [pair(issued.server)], validation_context, ...common },
});
const plain = (common: Fields = {}, more: Fields = {}): Fields => ({
  common_tls_context: { tls_certificates: [pair(issued.server)], ...common },
  ...more,
});
const several = { tls_certificates: (['server', 'wild', 'rsa', 'cn'] as const).map((name) => pair(issued[name])) };

const listeners: Readonly<Record<string, Fields>> = {
  plain: plain(),
  alpn: plain({ alpn_protocols: ['h2', 'http/1.1'] }),
  v13: plain(range('TLSv1_3')),
  v12: plain(range('TLSv1_2')),
  suites: plain({ tls_params: { cipher_suites: ['ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-AES128-GCM-SHA256'] } }),
  several: plain(several),
  scanning: plain(several, { full_scan_certs_on_sni_mismatch: true }),
  ca: mutual(trusting()),
  ca12: mutual(trusting(), true, range('TLSv1_2')),
  optional: mutual(trusting(), false),
  'no-ca': mutual({}),
  dns: mutual(trusting(san('DNS', { exact: 'client.example' }))),
  wildcard: mutual(trusting(san('DNS', { exact: 'a.client.example' }))),
  uri: mutual(trusting(san('URI', { prefix: 'spiffe://td/' }))),
  email: mutual(trusting(san('EMAIL', { suffix: '@client.example' }))),
  ip: mutual(trusting(san('IP_ADDRESS', { exact: '2001:db8::1' }))),
  regex: mutual(trusting(san('URI', { safe_regex: { regex: 'spiffe://[a-z]+/client' } }))),
  'other-name': mutual(trusting(san('OTHER_NAME', { exact: 'me' }, { oid: '1.2.3.4' }))),
  'other-oid': mutual(trusting(san('OTHER_NAME', { exact: 'me' }, { oid: '1.2.3.5' }))),
  'no-match': mutual(trusting(san('DNS', { exact: 'nobody' }))),
  hash: mutual({ verify_certificate_hash: [fingerprint] }),
  colons: mutual(trusting({ verify_certificate_hash: [colons] })),
  spki: mutual({ verify_certificate_spki: [spkiHash(issued.client)] }),
  crl: mutual(trusting({ crl: inline(crl) })),
  'crl-in-ca': mutual({ trusted_ca: inline(`${ca.certificate}\n${crl}`) }),
  'leaf-crl': mutual(trusting({ crl: inline(middle.crl([])), only_verify_leaf_cert_crl: true })),
  'whole-crl': mutual(trusting({ crl: inline(middle.crl([])) })),
  'allow-expired': mutual(trusting({ allow_expired_certificate: true })),
  untrusted: mutual(trusting({ trust_chain_verification: 'ACCEPT_UNTRUSTED' })),
  'untrusted-names': mutual(
    trusting({ trust_chain_verification: 'ACCEPT_UNTRUSTED', ...san('DNS', { exact: 'nobody' }) }),
  ),
  partial: mutual({ trusted_ca: inline(middle.certificate) }),
  depth0: mutual(trusting({ max_verify_depth: 0 })),
  depth1: mutual(trusting({ max_verify_depth: 1 })),
  depth2: mutual(trusting({ max_verify_depth: 2 })),
  spiffe: mutual(spiffe()),
  'spiffe-name': mutual(spiffe(san('URI', { exact: 'spiffe://one.test/b' }))),
};

interface Downstream extends ConnectionOptions {
  readonly to: string;
  readonly as?: Name;
  /** Sent in place of a handshake. */
  readonly raw?: string;
}

const as = (to: string, ...names: readonly (Name | undefined)[]): Downstream[] =>
  names.map((name) => (name === undefined ? { to } : { to, as: name }));
const rsaOnly = { sigalgs: 'RSA-PSS+SHA256' };

const downstream: readonly Downstream[] = [
  { to: 'plain' },
  { to: 'plain', maxVersion: 'TLSv1.2' },
  { to: 'plain', minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
  { to: 'plain', ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384' },
  { to: 'plain', ciphers: 'TLS_CHACHA20_POLY1305_SHA256' },
  { to: 'plain', ecdhCurve: 'secp521r1' },
  { to: 'plain', ...rsaOnly },
  { to: 'plain', ...rsaOnly, maxVersion: 'TLSv1.2' },
  { to: 'plain', raw: 'GET / HTTP/1.1\r\n\r\n' },
  { to: 'plain', raw: 'CONNECT a:1 HTTP/1.1\r\n\r\n' },
  { to: 'plain', raw: 'hello, is anybody there?\n' },
  { to: 'plain', raw: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' },
  { to: 'v13', maxVersion: 'TLSv1.2' },
  { to: 'v12', minVersion: 'TLSv1.3' },
  { to: 'suites', maxVersion: 'TLSv1.2' },
  { to: 'suites', maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384' },
  { to: 'alpn', ALPNProtocols: ['http/1.1', 'h2'] },
  { to: 'alpn', ALPNProtocols: ['http/1.1'] },
  { to: 'alpn', ALPNProtocols: ['foo'] },
  { to: 'alpn' },
  ...[
    'server.example',
    'A.Wild.Example',
    'a.b.wild.example',
    'x.other.example',
    'cn.example',
    'unknown.example',
  ].flatMap((servername) => [
    { to: 'several', servername },
    { to: 'several', servername, ...rsaOnly },
    { to: 'scanning', servername, ...rsaOnly },
  ]),
  { to: 'several' },
  { to: 'several', ...rsaOnly },
  ...as('ca', undefined, 'client', 'stranger', 'self', 'expired', 'serverOnly', 'belowMiddle', 'nameless'),
  ...as('ca12', undefined, 'client', 'stranger', 'expired'),
  ...as('optional', undefined, 'client', 'stranger'),
  ...as('no-ca', undefined, 'stranger'),
  ...as('dns', 'client', 'nameless', 'stranger'),
  ...as('wildcard', 'client'),
  ...as('uri', 'client', 'nameless'),
  ...as('email', 'client'),
  ...as('ip', 'client'),
  ...as('regex', 'client', 'nameless'),
  ...as('other-name', 'client'),
  ...as('other-oid', 'client'),
  ...as('no-match', 'client', 'nameless', 'stranger'),
  ...as('hash', undefined, 'client', 'nameless'),
  ...as('colons', 'client', 'nameless', 'stranger'),
  ...as('spki', 'client', 'stranger'),
  ...as('crl', 'client', 'revoked', 'belowMiddle'),
  ...as('crl-in-ca', 'client', 'revoked'),
  ...as('leaf-crl', 'belowMiddle', 'client'),
  ...as('whole-crl', 'belowMiddle'),
  ...as('allow-expired', 'client', 'expired', 'expiredStranger', 'stranger'),
  ...as('untrusted', undefined, 'client', 'stranger', 'expired'),
  ...as('untrusted-names', 'client'),
  ...as('partial', 'belowMiddle', 'belowLower', 'client'),
  ...as('depth0', 'client', 'belowMiddle'),
  ...as('depth1', 'client', 'belowMiddle'),
  ...as('depth2', 'belowMiddle', 'belowLower'),
  ...as('spiffe', undefined, 'spiffeOne', 'spiffeTwo', 'impostor', 'nowhere', 'signer', 'client'),
  ...as('spiffe-name', 'spiffeOne'),
];

/** A cluster: to which server, and with what UpstreamTlsContext (undefined: plain text). */
interface Upstream {
  readonly to: string;
  readonly tls: Fields | undefined;
}

const up = (to: string, validation_context: Fields = trusting(), common: Fields = {}, more: Fields = {}): Upstream => ({
  to,
  tls: { common_tls_context: { validation_context, ...common }, ...more },
});

const clusters: Readonly<Record<string, Upstream>> = {
  good: up('server'),
  'not validated': up('stranger', {}),
  stranger: up('stranger'),
  'self-signed': up('self'),
  expired: up('expired'),
  'allow expired': up('expired', trusting({ allow_expired_certificate: true })),
  revoked: up('revoked', trusting({ crl: inline(crl) })),
  'for clients only': up('clientOnly'),
  'below an intermediate': up('belowMiddle'),
  'an intermediate is trusted': up('belowMiddle', { trusted_ca: inline(middle.certificate) }),
  'deep, from elsewhere': up('belowLower', { trusted_ca: inline(other.certificate) }),
  'a name': up('server', trusting(san('IP_ADDRESS', { exact: '127.0.0.1' }))),
  'no such name': up('server', trusting(san('DNS', { exact: 'nobody' }))),
  'no name': up('nameless', trusting(san('DNS', { exact: 'nobody' }))),
  hash: up('server', trusting({ verify_certificate_hash: [fingerprint] })),
  spki: up('client', trusting({ verify_certificate_spki: [spkiHash(issued.client)] })),
  'accept untrusted': up('stranger', trusting({ trust_chain_verification: 'ACCEPT_UNTRUSTED' })),
  'SNI is a name of it': up('server', trusting(), {}, { sni: 'a.wild.example', auto_sni_san_validation: true }),
  'SNI is no name of it': up('server', trusting(), {}, { sni: 'a.example', auto_sni_san_validation: true }),
  'TLS 1.3': up('server', trusting(), range('TLSv1_2', 'TLSv1_3')),
  'too new': up('old', trusting(), range('TLSv1_3')),
  'too old': up('new'),
  'no suite': up('server', trusting(), { tls_params: { cipher_suites: ['ECDHE-RSA-AES128-GCM-SHA256'] } }),
  ALPN: up('alpn', trusting(), { alpn_protocols: ['http/1.1'] }),
  'no ALPN': up('alpn', trusting(), { alpn_protocols: ['foo'] }),
  'a client certificate': up('mutual', trusting(), { tls_certificates: [pair(issued.client)] }),
  'no client certificate': up('mutual'),
  'no client certificate, TLS 1.3': up('mutual', trusting(), range('TLSv1_3')),
  'plain text': up('plain'),
  garbage: up('garbage'),
  'closes in the handshake': up('closes'),
  'resets in the handshake': up('resets'),
  'plain text to TLS': { to: 'server', tls: undefined },
  SPIFFE: up('spiffeOne', spiffe()),
  'SPIFFE, an impostor': up('impostor', spiffe()),
};

/** What the servers of the clusters are; those named like a certificate have it, and nothing special. */
const servers: Readonly<Record<string, TlsOptions>> = {
  old: { maxVersion: 'TLSv1.2' },
  new: { minVersion: 'TLSv1.3' },
  alpn: { ALPNProtocols: ['http/1.1'] },
  mutual: { requestCert: true, rejectUnauthorized: true, ca: ca.certificate },
};

const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

async function startServers(): Promise<Map<string, Server>> {
  const made = new Map<string, Server>();
  for (const name of new Set(Object.values(clusters).map(({ to }) => to))) made.set(name, serverFor(name));
  for (const server of made.values()) await once(server.listen(0, '127.0.0.1'), 'listening');
  return made;
}

function serverFor(name: string): Server {
  const raw = (onData: (socket: Socket) => void): Server =>
    createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => onData(socket));
    });
  switch (name) {
    case 'plain':
      return raw((socket) => socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n'));
    case 'garbage':
      return raw((socket) => socket.end('\u0000\u0001\u0002 hello'));
    case 'closes':
      return raw((socket) => socket.end());
    case 'resets':
      return raw((socket) => socket.resetAndDestroy());
  }
  const { chain: cert, key } = issued[(name in issued ? name : 'server') as Name];
  const server = createTlsServer({ cert, key, ...servers[name] }, (socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end(ANSWER));
  });
  return server.on('tlsClientError', () => {});
}

const log = (format: string): Fields => ({
  name: 'log',
  typed_config: {
    '@type': `${EXTENSIONS}.access_loggers.file.v3.FileAccessLog`,
    path: '@DIR@/access.log',
    log_format: { text_format_source: inline(`${format}\n`) },
  },
});

const http = (routes: readonly Fields[], access_log: readonly Fields[] = []): Fields => ({
  name: 'http',
  typed_config: {
    '@type': `${EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'http',
    codec_type: 'HTTP1',
    access_log,
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
    http_filters: [{ name: 'router', typed_config: { '@type': `${EXTENSIONS}.filters.http.router.v3.Router` } }],
  },
});

const address = { socket_address: { address: '127.0.0.1', port_value: 0 } };
const endpoint = (port: number): Fields => ({
  endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
});

function config(ports: ReadonlyMap<string, number>): string {
  const tls = (type: string, context: Fields): Fields => ({
    transport_socket: { name: 'tls', typed_config: { '@type': `${TLS}.${type}`, ...context } },
  });
  return JSON.stringify({
    admin: { address },
    static_resources: {
      listeners: [
        ...Object.entries(listeners).map(([name, context]) => ({
          name,
          stat_prefix: name,
          address,
          access_log: [log('%DOWNSTREAM_TRANSPORT_FAILURE_REASON%')],
          filter_chains: [
            {
              filters: [http([{ match: { prefix: '/' }, direct_response: { status: 200, body: inline('ok') } }])],
              ...tls('DownstreamTlsContext', context),
            },
          ],
        })),
        {
          name: 'upstreams',
          address,
          filter_chains: [
            {
              filters: [
                http(
                  Object.keys(clusters).map((cluster) => ({
                    match: { headers: [{ name: 'x-to', string_match: { exact: cluster } }], prefix: '/' },
                    route: { cluster },
                  })),
                  [
                    log(
                      '%UPSTREAM_TRANSPORT_FAILURE_REASON% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %UPSTREAM_TLS_VERSION% %UPSTREAM_TLS_CIPHER% %UPSTREAM_PEER_SUBJECT%',
                    ),
                  ],
                ),
              ],
            },
          ],
        },
      ],
      clusters: Object.entries(clusters).map(([name, { to, tls: context }]) => ({
        name,
        connect_timeout: '2s',
        load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [endpoint(ports.get(to)!)] }] },
        ...(context !== undefined && tls('UpstreamTlsContext', context)),
      })),
    },
  });
}

interface Outcome {
  readonly client: string;
  readonly log: string;
  readonly counters: Readonly<Record<string, number>>;
}

const isTold = (name: string): boolean => /\.ssl\./.test(name) && !/\.(curves|sigalgs)\./.test(name);

async function observe(proxy: ProxyProcess, exchange: () => Promise<string>): Promise<Outcome> {
  const read = (): string => {
    try {
      return readFileSync(`${proxy.dir}/access.log`, 'latin1');
    } catch {
      return '';
    }
  };
  const before = await proxy.counters();
  const known = read().length;
  const client = await exchange();
  const line = await eventually('the log line', () => {
    const fresh = read().slice(known);
    return fresh.endsWith('\n') && fresh;
  });
  const counters: Record<string, number> = {};
  for (const [name, value] of await proxy.counters()) {
    const delta = value - (before.get(name) ?? 0);
    if (delta !== 0 && isTold(name)) counters[name] = delta;
  }
  return { client, log: line, counters };
}

/** What a client gets, and with what; all refusals are alike, since not all of Envoy's alerts can be sent from Node. */
async function handshake(port: number, { as: name, raw, ...options }: Downstream): Promise<string> {
  const certificate = name === undefined ? {} : { cert: issued[name].chain, key: issued[name].key };
  const socket =
    raw === undefined
      ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...certificate, ...options })
      : connectTcp({ port, host: '127.0.0.1' });
  let got = '';
  let met = '';
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => (got += chunk.toString('latin1')));
  socket.on(raw === undefined ? 'secureConnect' : 'connect', () => {
    if (raw !== undefined) socket.write(raw);
    else {
      const secure = socket as ReturnType<typeof connectTls>;
      met = `${secure.getProtocol()} ${secure.getCipher().name} ${String(secure.alpnProtocol)} ${secure.getPeerX509Certificate()?.subject}`;
      socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    }
  });
  await new Promise((resolve) => socket.once('close', resolve));
  return got.startsWith('HTTP/1.1 200') ? met : 'refused';
}

const ask = (port: number, cluster: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port, agent: false, headers: { 'x-to': cluster } }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => resolve(`${response.statusCode} ${body}`));
    });
    request.on('error', reject);
  });

const titleOf = ({ to, as: name, raw, ...options }: Downstream): string =>
  `${to}: ${raw === undefined ? (name ?? 'nobody') : JSON.stringify(raw)} ${Object.keys(options).length === 0 ? '' : JSON.stringify(options)}`;

const SELF_SIGNED = 'Refused for vouching for itself, in Envoy for having no issuer, since it is no CA.';

/** What OpenSSL or Node does in its own way, by the title of the case. */
const DIFFERENCES: Readonly<Record<string, string>> = {
  'ca: self ': SELF_SIGNED,
  'upstream: self-signed': SELF_SIGNED,
  'whole-crl: belowMiddle ': 'The depth at which the CRL is missing is not told by Node.',
  'plain: nobody {"ciphers":"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384"}':
    "The order of suites is the server's in all versions; in Envoy it is the client's in TLS 1.3.",
  'spiffe: client ': 'The library has refused the chain before the trust domain is looked at.',
};

describe.skipIf(envoyBinary === undefined)('TLS handshakes', () => {
  let hosts: Map<string, Server>;
  let envoy: ProxyProcess;
  let outrigger: ProxyProcess;

  beforeAll(async () => {
    hosts = await startServers();
    const ports = new Map([...hosts].map(([name, server]) => [name, (server.address() as AddressInfo).port]));
    const text = config(ports);
    [envoy, outrigger] = await Promise.all([
      ProxyProcess.start('envoy', envoyBinary!, text),
      ProxyProcess.start('outrigger', OUTRIGGER, text),
    ]);
  });
  afterAll(async () => {
    await envoy?.[Symbol.asyncDispose]();
    await outrigger?.[Symbol.asyncDispose]();
    for (const server of hosts?.values() ?? []) server.close();
  });

  const compare = async (title: string, exchange: (proxy: ProxyProcess) => Promise<string>): Promise<void> => {
    const theirs = await observe(envoy, () => exchange(envoy));
    const ours = await observe(outrigger, () => exchange(outrigger));
    const reason = DIFFERENCES[title];
    if (reason === undefined) expect(ours).toEqual(theirs);
    else expect(ours, `no longer different: ${reason}`).not.toEqual(theirs);
  };

  test.each(downstream.map((each) => [titleOf(each), each] as const))('%s', async (title, each) => {
    await compare(title, (proxy) => handshake(proxy.ports.get(each.to)!, each));
  });

  test.each(Object.keys(clusters))('upstream: %s', async (cluster) => {
    await compare(`upstream: ${cluster}`, (proxy) => ask(proxy.ports.get('upstreams')!, cluster));
  });
});
