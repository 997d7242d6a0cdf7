import { alpn, clientHello, handshake, helloBody, record, serverName } from '../../support/client-hello.ts';
import { proxyV2, tlv, V4 } from '../../support/proxy-protocol.ts';

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type Fields = { readonly [key: string]: Json };

/** One connection to both proxies. */
export interface ConnectionCase {
  readonly name: string;
  readonly listener: string;
  /** Pieces are sent with a pause between them. */
  readonly send: readonly (string | Buffer)[];
  /** For a connection that stays open, and how long to wait for what it says. */
  readonly waitMs?: number;
}

const filter = (type: string, fields: Fields = {}): Json => ({
  name: type,
  typed_config: { '@type': `type.googleapis.com/envoy.extensions.filters.listener.${type}`, ...fields },
});
const TLS = 'tls_inspector.v3.TlsInspector';
const HTTP = 'http_inspector.v3.HttpInspector';
const PROXY = 'proxy_protocol.v3.ProxyProtocol';
const RATE = 'local_ratelimit.v3.LocalRateLimit';

const network = (type: string, fields: Fields = {}): Json => ({
  name: type,
  typed_config: { '@type': `type.googleapis.com/envoy.extensions.filters.network.${type}`, ...fields },
});
/** A chain that says its name and closes. */
const says = (name: string, match: Fields = {}): Json => ({
  name,
  filter_chain_match: match,
  filters: [network('direct_response.v3.Config', { response: { inline_string: name } })],
});
/** A chain that shows which bytes it gets. */
const echoes = (match: Fields = {}): Json => ({
  name: 'echo',
  filter_chain_match: match,
  filters: [network('echo.v3.Echo')],
});

const byProtocol = [
  says('a', { transport_protocol: 'tls', server_names: ['a.example'] }),
  says('wild', { transport_protocol: 'tls', server_names: ['*.example'] }),
  says('wilder', { transport_protocol: 'tls', server_names: ['*.b.example'] }),
  says('a-h2', { transport_protocol: 'tls', server_names: ['a.example'], application_protocols: ['h2'] }),
  says('tls', { transport_protocol: 'tls' }),
  says('tls-x', { transport_protocol: 'tls', application_protocols: ['x', 'y'] }),
  echoes({ transport_protocol: 'raw_buffer' }),
];
const byHttp = [
  says('http/1.1', { application_protocols: ['http/1.1'] }),
  says('http/1.0', { application_protocols: ['http/1.0'] }),
  says('h2c', { application_protocols: ['h2c'] }),
  says('none'),
];

const input = (name: string): Fields => ({
  name,
  typed_config: { '@type': `type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.${name}` },
});
const to = (chain: string): Fields => ({
  action: { name: chain, typed_config: { '@type': 'type.googleapis.com/google.protobuf.StringValue', value: chain } },
});
const tree = (name: string, map: Readonly<Record<string, Fields>>): Fields => ({
  matcher: { matcher_tree: { input: input(name), exact_match_map: { map } } },
});

/** By name; address, log and stat prefix are added. */
export const listeners: Readonly<Record<string, Fields>> = {
  tls: { listener_filters: [filter(TLS)], listener_filters_timeout: '0.15s', filter_chains: byProtocol },
  fingerprints: {
    listener_filters: [filter(TLS, { enable_ja3_fingerprinting: true, enable_ja4_fingerprinting: true })],
    filter_chains: byProtocol,
  },
  strict: {
    listener_filters: [filter(TLS, { close_connection_on_client_hello_parsing_errors: true })],
    filter_chains: byProtocol,
  },
  small: { listener_filters: [filter(TLS, { max_client_hello_size: 512 })], filter_chains: byProtocol },
  'goes-on': {
    listener_filters: [filter(TLS)],
    listener_filters_timeout: '0.1s',
    continue_on_listener_filters_timeout: true,
    filter_chains: byProtocol,
  },
  disabled: {
    listener_filters: [{ ...(filter(TLS) as Fields), filter_disabled: { any_match: true } }],
    filter_chains: byProtocol,
  },
  'not-disabled': {
    listener_filters: [
      { ...(filter(TLS) as Fields), filter_disabled: { destination_port_range: { start: 1, end: 2 } } },
    ],
    filter_chains: byProtocol,
  },
  http: { listener_filters: [filter(HTTP)], filter_chains: byHttp },
  both: { listener_filters: [filter(TLS), filter(HTTP)], filter_chains: byProtocol },
  proxy: {
    listener_filters: [
      filter(PROXY, {
        rules: [
          { tlv_type: 2, on_tlv_present: { key: 'authority' } },
          { tlv_type: 5, on_tlv_present: { metadata_namespace: 'mine', key: 'id' } },
        ],
        pass_through_tlvs: { match_type: 'INCLUDE_ALL' },
      }),
    ],
    filter_chains: [
      says('external', { source_type: 'EXTERNAL' }),
      says('near', { source_prefix_ranges: [{ address_prefix: '1.2.0.0', prefix_len: 16 }] }),
      says('port', { destination_port: 2000 }),
      says('direct', { direct_source_prefix_ranges: [{ address_prefix: '1.0.0.0', prefix_len: 8 }] }),
      says('local'),
    ],
  },
  'proxy-optional': {
    listener_filters: [filter(PROXY, { allow_requests_without_proxy_protocol: true, stat_prefix: 'opt' })],
    filter_chains: [echoes()],
  },
  'proxy-v2-only': {
    listener_filters: [filter(PROXY, { disallowed_versions: ['V1'] })],
    filter_chains: [echoes()],
  },
  'proxy-v1-only': {
    listener_filters: [filter(PROXY, { disallowed_versions: ['V2'] })],
    filter_chains: [echoes()],
  },
  'proxy-v2-optional': {
    listener_filters: [filter(PROXY, { disallowed_versions: ['V1'], allow_requests_without_proxy_protocol: true })],
    filter_chains: [echoes()],
  },
  'proxy-then-tls': { listener_filters: [filter(PROXY), filter(TLS)], filter_chains: byProtocol },
  'by-flag': { filter_chains: [{ ...(echoes() as Fields), use_proxy_proto: true }] },
  nobody: { filter_chains: [says('x', { source_ports: [1] })] },
  default: { filter_chains: [says('x', { source_ports: [1] })], default_filter_chain: says('default') },
  limited: {
    listener_filters: [filter(RATE, { stat_prefix: 'rl', token_bucket: { max_tokens: 1, fill_interval: '3600s' } })],
    filter_chains: [says('in')],
  },
  tree: {
    listener_filters: [filter(TLS)],
    filter_chain_matcher: {
      matcher_tree: {
        input: input('TransportProtocolInput'),
        exact_match_map: {
          map: {
            tls: tree('ServerNameInput', {
              'a.example': tree('ApplicationProtocolInput', { "'h2'": to('a-h2') }),
              'b.example': to('nowhere'),
            }),
          },
        },
      },
      on_no_match: to('rest'),
    },
    filter_chains: [
      { name: 'a-h2', filters: [network('direct_response.v3.Config', { response: { inline_string: 'a-h2' } })] },
      { name: 'rest', filters: [network('direct_response.v3.Config', { response: { inline_string: 'rest' } })] },
    ],
  },
  'tree-default': {
    filter_chain_matcher: {
      matcher_tree: { input: input('SourceTypeInput'), exact_match_map: { map: { other: to('a') } } },
    },
    filter_chains: [
      { name: 'a', filters: [network('direct_response.v3.Config', { response: { inline_string: 'a' } })] },
    ],
    default_filter_chain: says('default'),
  },
};

const sni = (name: string, ...protocols: string[]): Buffer =>
  clientHello({ extensions: [serverName(name), ...(protocols.length > 0 ? [alpn(...protocols)] : [])] });
const pieces = (bytes: Buffer, size: number): Buffer[] =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
const one = (listener: string, name: string, send: string | Buffer, waitMs?: number): ConnectionCase => ({
  name: `${listener}: ${name}`,
  listener,
  send: [send],
  ...(waitMs !== undefined && { waitMs }),
});
const OPEN = 150;
const fragments = Buffer.concat(
  pieces(handshake(helloBody({ extensions: [serverName('a.example')] })), 7).map((part) => record(part)),
);
const v1 = 'PROXY TCP4 1.2.3.4 5.6.7.8 1000 2000\r\n';

export const cases: readonly ConnectionCase[] = [
  one('tls', 'an exact name', sni('a.example')),
  one('tls', 'letters of both sizes', sni('A.eXample')),
  one('tls', 'a wildcard', sni('c.example')),
  one('tls', 'the longer wildcard', sni('x.b.example')),
  one('tls', 'a wildcard needs a label', sni('b.example')),
  one('tls', 'a name that nobody has', sni('a.test')),
  one('tls', 'a name with a protocol', sni('a.example', 'h2', 'http/1.1')),
  one('tls', 'the second protocol', sni('a.test', 'z', 'y')),
  one('tls', 'a protocol of another name', sni('c.example', 'h2')),
  one('tls', 'no name', clientHello()),
  one('tls', 'no extensions', clientHello({ extensions: undefined })),
  { name: 'tls: in pieces', listener: 'tls', send: pieces(sni('a.example'), 31) },
  one('tls', 'in many records', fragments),
  one('tls', 'after a warning', Buffer.concat([record(Buffer.from([1, 90]), 21), sni('a.example')])),
  one('tls', 'after an empty record', Buffer.concat([record(Buffer.alloc(0)), sni('a.example')])),
  one('tls', 'close_notify', record(Buffer.from([1, 0]), 21)),
  one('tls', 'plain text', 'hello world', OPEN),
  one('tls', 'HTTP', 'GET / HTTP/1.1\r\n\r\n', OPEN),
  one('tls', 'CONNECT', 'CONNECT a:1 HTTP/1.1\r\n\r\n', OPEN),
  one('tls', 'five bytes', 'hello', OPEN),
  one('tls', 'four bytes', 'hell'),
  one('tls', 'a record of another version', record(Buffer.from('x'), 22, 0x0901), OPEN),
  one('tls', 'application data', record(Buffer.from('abc'), 23), OPEN),
  one('tls', 'a record that is too long', record(Buffer.from('abc'), 22, 0x0301, 0x4800), OPEN),
  one('tls', 'another message', record(handshake(helloBody(), 2)), OPEN),
  one('tls', 'a message that is too long', record(handshake(Buffer.from('zzz'), 1, 0x4001)), OPEN),
  one('tls', 'SSL 3', clientHello({ version: 0x0300 })),
  one('tls', 'a version from the future', clientHello({ version: 0x0399 })),
  one('tls', 'TLS 1.1', clientHello({ version: 0x0302 })),
  one('tls', 'no compression method', clientHello({ compression: Buffer.alloc(0) }), OPEN),
  one('tls', 'no ciphers', clientHello({ ciphers: [] }), OPEN),
  one('tls', 'a long session id', clientHello({ sessionId: Buffer.alloc(33) }), OPEN),
  one('tls', 'an empty name', sni(''), OPEN),
  one('tls', 'a name with a NUL', sni('a\0b'), OPEN),
  one('tls', 'a name of another type', clientHello({ extensions: [serverName('a.example', 1)] }), OPEN),
  one('tls', 'a name twice', clientHello({ extensions: [serverName('a.example'), serverName('a.example')] }), OPEN),
  one(
    'tls',
    'malformed protocols',
    clientHello({ extensions: [serverName('a.example'), [16, Buffer.from([0, 5, 2, 104, 50])]] }),
  ),
  one('tls', 'half a hello', sni('a.example').subarray(0, 40)),
  one('tls', 'silence', ''),
  one('fingerprints', 'plain', sni('a.example')),
  one(
    'fingerprints',
    'rich',
    clientHello({
      ciphers: [0x0a0a, 0x1302, 0x1301, 0xc02f],
      extensions: [
        [0x1a1a, Buffer.alloc(0)],
        serverName('a.example'),
        [10, Buffer.from([0, 4, 0x2a, 0x2a, 0, 0x1d])],
        [11, Buffer.from([1, 0])],
        [13, Buffer.from([0, 4, 4, 3, 8, 4])],
        alpn('h2', 'http/1.1'),
        [43, Buffer.from([4, 0x3a, 0x3a, 3, 4])],
      ],
    }),
  ),
  one('fingerprints', 'odd protocol', sni('a.example', '\x2f\x80')),
  one('strict', 'plain text', 'hello world'),
  one('strict', 'TLS', sni('a.example')),
  one(
    'small',
    'a hello of more bytes',
    clientHello({ extensions: [serverName('a.example'), [21, Buffer.alloc(600)]] }),
  ),
  one('goes-on', 'half a hello', '\x16\x03\x01', 250),
  one('goes-on', 'a hello in time', sni('a.example')),
  one('disabled', 'TLS', sni('a.example'), OPEN),
  one('not-disabled', 'TLS', sni('a.example')),
  one('http', '1.1', 'GET / HTTP/1.1\r\n\r\n'),
  one('http', '1.0', 'GET / HTTP/1.0\r\n\r\n'),
  one('http', '0.9', 'GET /\r\n'),
  one('http', '1.2', 'GET / HTTP/1.2\r\n'),
  one('http', 'HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  { name: 'http: in pieces', listener: 'http', send: ['GE', 'T / HT', 'TP/1.1\r', '\n\r\n'] },
  { name: 'http: HTTP/2 in pieces', listener: 'http', send: ['PRI * HTTP/2.0\r\n', '\r\nSM\r\n\r', '\n'] },
  one('http', 'any method', 'FOO / HTTP/1.1\r\n'),
  one('http', 'an absolute target', 'GET http://a/ HTTP/1.1\r\n'),
  one('http', 'a star', 'OPTIONS * HTTP/1.1\r\n'),
  one('http', 'LF alone', 'GET / HTTP/1.1\n'),
  one('http', 'an empty line first', '\r\nGET / HTTP/1.1\r\n'),
  one('http', 'another protocol', 'SSH-2.0-x\r\n'),
  one('http', 'a bad version', 'GET / HTTP/11\r\n'),
  one('http', 'four words', 'GET / HTTP/1.1 x\r\n'),
  one('http', 'a relative target', 'GET foo HTTP/1.1\r\n'),
  one('http', 'a bad method', 'G(T / HTTP/1.1\r\n'),
  one('http', 'binary', '\0\x01\x02\x03'),
  one('both', 'TLS', sni('a.example')),
  one('both', 'HTTP', 'GET / HTTP/1.1\r\n\r\n', OPEN),
  one('proxy', 'version 1', v1),
  one('proxy', 'version 1, IPv6', 'PROXY TCP6 1:2:3::4 5:6::7:8 1000 2001\r\n'),
  one('proxy', 'UNKNOWN', 'PROXY UNKNOWN\r\n'),
  one('proxy', 'UNKNOWN with more', 'PROXY UNKNOWN 1 2 3\r\n'),
  { name: 'proxy: version 1 in pieces', listener: 'proxy', send: ['PRO', 'XY TCP4 1.2.3.4 5.6.7.8 1000 2000\r', '\n'] },
  one('proxy', 'a word too few', 'PROXY TCP4 1.2.3.4 5.6.7.8 1000\r\n'),
  one('proxy', 'a word too many', 'PROXY TCP4 1.2.3.4 5.6.7.8 1000 2000 x\r\n'),
  one('proxy', 'two blanks', 'PROXY  TCP4 1.2.3.4 5.6.7.8 1000 2000\r\n'),
  one('proxy', 'a bad address', 'PROXY TCP4 1.2.3.4444 5.6.7.8 1000 2000\r\n'),
  one('proxy', 'a bad port', 'PROXY TCP4 1.2.3.4 5.6.7.8 1000 66000\r\n'),
  one('proxy', 'a port with zeros', 'PROXY TCP4 1.2.3.4 5.6.7.8 007 2000\r\n'),
  one('proxy', 'the other family', 'PROXY TCP4 1:2:3::4 5:6::7:8 1000 2000\r\n'),
  one('proxy', 'multicast', 'PROXY TCP4 230.0.0.1 10.1.1.3 1234 5678\r\n'),
  one('proxy', 'any address', 'PROXY TCP4 0.0.0.0 10.1.1.3 1234 5678\r\n'),
  one('proxy', 'small letters', 'proxy TCP4 1.2.3.4 5.6.7.8 1000 2000\r\n'),
  one('proxy', 'a long line', `PROXY UNKNOWN ${'1'.repeat(92)}\r\n`),
  one('proxy', 'a line that is too long', `PROXY UNKNOWN ${'1'.repeat(93)}\r\n`),
  one('proxy', 'none', 'GET / HTTP/1.1\r\n\r\n'),
  one('proxy', 'none, and short', 'GET /\r\n'),
  one('proxy', 'version 2', proxyV2()),
  one(
    'proxy',
    'version 2, IPv6',
    proxyV2({
      familyAndTransport: 0x21,
      body: Buffer.from('20010db8000000000000000000000001fd000000000000000000000000000002123407d0', 'hex'),
    }),
  ),
  { name: 'proxy: version 2 in pieces', listener: 'proxy', send: pieces(proxyV2(), 9) },
  one('proxy', 'LOCAL', proxyV2({ versionAndCommand: 0x20 })),
  one(
    'proxy',
    'LOCAL without addresses',
    proxyV2({ versionAndCommand: 0x20, familyAndTransport: 0, body: Buffer.alloc(0) }),
  ),
  one('proxy', 'UDP', proxyV2({ familyAndTransport: 0x12 })),
  one('proxy', 'a Unix socket', proxyV2({ familyAndTransport: 0x31, body: Buffer.alloc(216) })),
  one('proxy', 'no family', proxyV2({ familyAndTransport: 0, body: Buffer.alloc(0) })),
  one('proxy', 'too few bytes of addresses', proxyV2({ body: V4.subarray(0, 10) })),
  one('proxy', 'another command', proxyV2({ versionAndCommand: 0x22 })),
  one('proxy', 'another version', proxyV2({ versionAndCommand: 0x11 })),
  one('proxy', 'TLVs', proxyV2({ body: Buffer.concat([V4, tlv(2, 'abc'), tlv(5, 'Z'), tlv(2, 'later')]) })),
  one(
    'proxy',
    'a TLV that is no text',
    proxyV2({ body: Buffer.concat([V4, tlv(2, Buffer.from([0xff, 0xfe, 0x61, 0xc3]))]) }),
  ),
  one('proxy', 'an empty TLV', proxyV2({ body: Buffer.concat([V4, tlv(2, '')]) })),
  one('proxy', 'a TLV that is cut short', proxyV2({ body: Buffer.concat([V4, tlv(2, 'abc', 9)]) })),
  one('proxy', 'half a TLV', proxyV2({ body: Buffer.concat([V4, Buffer.from([2, 0])]) })),
  one(
    'proxy',
    'TLVs of a LOCAL one',
    proxyV2({ versionAndCommand: 0x20, body: Buffer.concat([V4, tlv(2, 'abc', 9)]) }),
  ),
  one('proxy', 'a long TLV', proxyV2({ body: Buffer.concat([V4, tlv(6, Buffer.alloc(60_000))]) })),
  one('proxy-optional', 'none', 'hello', OPEN),
  one('proxy-optional', 'version 1', `${v1}x`, OPEN),
  one('proxy-optional', 'version 2', Buffer.concat([proxyV2(), Buffer.from('x')]), OPEN),
  one('proxy-optional', 'almost', 'PROXYfoo\r\n', OPEN),
  one('proxy-optional', 'malformed', 'PROXY foo\r\n'),
  one('proxy-v2-only', 'version 1', v1),
  one('proxy-v2-only', 'version 2', Buffer.concat([proxyV2(), Buffer.from('x')]), OPEN),
  one('proxy-v1-only', 'version 1', `${v1}x`, OPEN),
  one('proxy-v1-only', 'version 2', proxyV2()),
  one('proxy-v2-optional', 'version 1', v1, OPEN),
  one('proxy-then-tls', 'both', Buffer.concat([Buffer.from(v1), sni('a.example')])),
  one('proxy-then-tls', 'plain', `${v1}hello world`, OPEN),
  one('by-flag', 'version 1', `${v1}x`, OPEN),
  one('by-flag', 'none', 'GET / HTTP/1.1\r\n\r\n'),
  one('nobody', 'no chain', ''),
  one('default', 'the default chain', ''),
  one('limited', 'the first', ''),
  one('limited', 'the second', ''),
  one('tree', 'all the way', sni('a.example', 'h2')),
  one('tree', 'another protocol', sni('a.example', 'x')),
  one('tree', 'another name', sni('c.example')),
  one('tree', 'a chain that there is not', sni('b.example')),
  one('tree', 'plain', 'hello'),
  one('tree-default', 'the default chain', ''),
];

/** By name of the case: how we differ, and why. */
export const DIFFERENCES: Readonly<Record<string, string>> = {};
