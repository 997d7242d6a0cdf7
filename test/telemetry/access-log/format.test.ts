import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  compileHeaderValue,
  compileText,
  DEFAULT_LOG_FORMAT,
  FormatError,
  parseFormat,
} from '../../../src/telemetry/access-log/format.ts';
import { builtinOperators } from '../../../src/telemetry/access-log/operators/builtin.ts';
import { KitHeaders } from '../../../src/filters/test-kit/kit-headers.ts';
import { KitStreamInfo } from '../../../src/filters/test-kit/kit-stream-info.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { connectionOf, loggedRequest } from '../../support/log-context.ts';

const context = loggedRequest();
const print = (format: string, options = {}): string => compileText(format, options).format(context);

/** What Envoy 1.40 printed for this request, operator by operator. */
const printedByEnvoy: Readonly<Record<string, string>> = {
  ACCESS_LOG_TYPE: 'DownstreamEnd',
  BYTES_RECEIVED: '0',
  BYTES_RETRANSMITTED: '0',
  BYTES_SENT: '5',
  CONNECTION_ID: '0',
  CUSTOM_FLAGS: '',
  DOWNSTREAM_CX_RTT: '0',
  DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED: '95',
  DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT: '129',
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS: '127.0.0.1:31170',
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID: '',
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT: '127.0.0.1',
  DOWNSTREAM_DIRECT_LOCAL_PORT: '31170',
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: '127.0.0.1:53896',
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: '127.0.0.1',
  DOWNSTREAM_DIRECT_REMOTE_PORT: '53896',
  DOWNSTREAM_HEADER_BYTES_RECEIVED: '95',
  DOWNSTREAM_HEADER_BYTES_SENT: '129',
  DOWNSTREAM_LOCAL_ADDRESS: '127.0.0.1:31170',
  DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID: '',
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: '127.0.0.1',
  DOWNSTREAM_LOCAL_PORT: '31170',
  DOWNSTREAM_REMOTE_ADDRESS: '127.0.0.1:53896',
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: '127.0.0.1',
  DOWNSTREAM_REMOTE_PORT: '53896',
  DOWNSTREAM_WIRE_BYTES_RECEIVED: '139',
  DOWNSTREAM_WIRE_BYTES_SENT: '153',
  DURATION: '4',
  FILTER_CHAIN_NAME: 'fchain',
  LISTENER_NAME: 'lname',
  LOCAL_REPLY_BODY: '',
  PACKETS_RETRANSMITTED: '0',
  PATH: '/p/x?a=1&b=%41bc&a=2&c',
  PROTOCOL: 'HTTP/1.1',
  QUERY_PARAMS: 'a=1&b=%41bc&a=2&c',
  REQUEST_DURATION: '0',
  REQUEST_HEADERS_BYTES: '235',
  REQUEST_TX_DURATION: '0',
  RESPONSE_CODE: '200',
  RESPONSE_CODE_DETAILS: 'via_upstream',
  RESPONSE_DURATION: '3',
  RESPONSE_HEADERS_BYTES: '115',
  RESPONSE_TRAILERS_BYTES: '0',
  RESPONSE_TX_DURATION: '0',
  ROUTE_NAME: 'route1',
  START_TIME: '2026-11-21T03:46:04.341Z',
  STREAM_ID: '9867047b-d64a-4eea-8d33-bbe630f23717',
  UPSTREAM_CLUSTER: 'alt.c',
  UPSTREAM_CLUSTER_RAW: 'c',
  UPSTREAM_CONNECTION_ID: '1',
  UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED: '40',
  UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT: '217',
  UPSTREAM_HEADER_BYTES_RECEIVED: '40',
  UPSTREAM_HEADER_BYTES_SENT: '217',
  UPSTREAM_HOST: '127.0.0.1:31172',
  UPSTREAM_HOST_NAME: 'hn.example:99',
  UPSTREAM_HOST_NAME_WITHOUT_PORT: 'hn.example',
  UPSTREAM_LOCAL_ADDRESS: '127.0.0.1:54618',
  UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: '127.0.0.1',
  UPSTREAM_LOCAL_PORT: '54618',
  UPSTREAM_PROTOCOL: 'HTTP/1.1',
  UPSTREAM_REMOTE_ADDRESS: '127.0.0.1:31172',
  UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID: '',
  UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: '127.0.0.1',
  UPSTREAM_REMOTE_PORT: '31172',
  UPSTREAM_REQUEST_ATTEMPT_COUNT: '1',
  UPSTREAM_WIRE_BYTES_RECEIVED: '67',
  UPSTREAM_WIRE_BYTES_SENT: '256',
  VIRTUAL_CLUSTER_NAME: 'vc',
};

/** What it printed as `-`. */
const missingInEnvoy = `
  CONNECTION_TERMINATION_DETAILS DOWNSTREAM_HANDSHAKE_DURATION DOWNSTREAM_LOCAL_CLOSE_REASON
  DOWNSTREAM_LOCAL_DNS_SAN DOWNSTREAM_LOCAL_EMAIL_SAN DOWNSTREAM_LOCAL_IP_SAN DOWNSTREAM_LOCAL_OTHERNAME_SAN
  DOWNSTREAM_LOCAL_SUBJECT DOWNSTREAM_LOCAL_URI_SAN DOWNSTREAM_PEER_CERT DOWNSTREAM_PEER_CERT_V_END
  DOWNSTREAM_PEER_CERT_V_START DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1 DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256
  DOWNSTREAM_PEER_CHAIN_SERIALS DOWNSTREAM_PEER_DNS_SAN DOWNSTREAM_PEER_EMAIL_SAN DOWNSTREAM_PEER_FINGERPRINT_1
  DOWNSTREAM_PEER_FINGERPRINT_256 DOWNSTREAM_PEER_IP_SAN DOWNSTREAM_PEER_ISSUER
  DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256 DOWNSTREAM_PEER_ISSUER_SERIAL DOWNSTREAM_PEER_OTHERNAME_SAN
  DOWNSTREAM_PEER_SERIAL DOWNSTREAM_PEER_SUBJECT DOWNSTREAM_PEER_URI_SAN DOWNSTREAM_TLS_CIPHER
  DOWNSTREAM_TLS_GROUP DOWNSTREAM_TLS_SESSION_ID DOWNSTREAM_TLS_VERSION DOWNSTREAM_TRANSPORT_FAILURE_REASON
  GRPC_STATUS GRPC_STATUS_NUMBER REQUESTED_SERVER_NAME RESPONSE_FLAGS RESPONSE_FLAGS_LONG ROUNDTRIP_DURATION
  SPAN_ID TRACE_ID UPSTREAM_LOCAL_CLOSE_REASON UPSTREAM_LOCAL_DNS_SAN UPSTREAM_LOCAL_IP_SAN UPSTREAM_LOCAL_URI_SAN
  UPSTREAM_PEER_CERT UPSTREAM_PEER_CERT_V_END UPSTREAM_PEER_CERT_V_START UPSTREAM_PEER_DNS_SAN
  UPSTREAM_PEER_IP_SAN UPSTREAM_PEER_ISSUER UPSTREAM_PEER_SUBJECT UPSTREAM_PEER_URI_SAN UPSTREAM_SERVER_NAME
  UPSTREAM_TLS_CIPHER UPSTREAM_TLS_GROUP UPSTREAM_TLS_SESSION_ID UPSTREAM_TLS_VERSION
  UPSTREAM_TRANSPORT_FAILURE_REASON
`;

describe('operators', () => {
  test.each(Object.entries(printedByEnvoy))('%s', (name, value) => {
    expect(print(`%${name}%`)).toBe(value);
  });

  test('print what is not there as a dash', () => {
    for (const name of missingInEnvoy.trim().split(/\s+/)) expect(`${name}=${print(`%${name}%`)}`).toBe(`${name}=-`);
  });

  test.each([
    ['%REQ(X-A?:PATH):3%', 'abc'],
    ['%REQ(X-NONE?:PATH):4%', '/p/x'],
    ['%REQ(X-A):0%', ''],
    ['%REQUEST_HEADER(x-a)% %RESPONSE_HEADER(server)% %TRAILER(x)%', 'abcdef envoy -'],
    ['%RESP(x-utf)%', 'h\xc3\xa9'],
    ['%RESP(x-bad)%', '\xff\xfea'],
    ['%QUERY_PARAM(a)% %QUERY_PARAM(b):2% %QUERY_PARAM(zz)% [%QUERY_PARAM(c)%]', '1 Ab - []'],
    ['%QUERY_PARAMS% %QUERY_PARAMS(DECODED)% %QUERY_PARAMS(ORIG):3%', 'a=1&b=%41bc&a=2&c a=1&b=Abc&a=2&c a=1'],
    ['%PATH% %PATH(NQ)% %PATH(WQ:PATH):3% %PATH(NQ:ORIG)%', '/p/x?a=1&b=%41bc&a=2&c /p/x /p/ -'],
    ['%REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH?:PATH)%', '/p/x'],
    [
      '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(8)% %UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(24)%',
      '127.0.0.0/8 127.0.0.0/24',
    ],
    ['%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT(x)%', '127.0.0.1'],
    [
      '%REQUESTED_SERVER_NAME(SNI_FIRST)% %REQUESTED_SERVER_NAME(HOST_FIRST:HOST)% %REQUESTED_SERVER_NAME(SNI_ONLY)%',
      '127.0.0.1:31170 127.0.0.1:31170 -',
    ],
    [
      '%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)% %COMMON_DURATION(DS_TX_END:DS_RX_BEG)% %COMMON_DURATION(x:y)%',
      '4122 - -',
    ],
    ['%COMMON_DURATION(US_TX_BEG:US_RX_BEG)%', '3'],
    [
      '%METADATA(ROUTE:a:b)% %METADATA(CLUSTER:m)% %METADATA(UPSTREAM_HOST:m:n)% %CLUSTER_METADATA(m:l)%',
      'c {"l":[1,2]} str [1,2]',
    ],
    [
      '%UPSTREAM_METADATA(m)%',
      '{"big":12345678901234567168,"f":1.5,"n":"str","nul":null,"num":3,"o":{"a":2,"b":1},"t":true}',
    ],
    [
      '%UPSTREAM_METADATA(m:num)% %UPSTREAM_METADATA(m:f)% %UPSTREAM_METADATA(m:t)% %UPSTREAM_METADATA(m:nul)%',
      '3 1.5 true -',
    ],
    [
      '%DYNAMIC_METADATA(x)% %DYNAMIC_METADATA(d):4% %DYNAMIC_METADATA(d:s):2% %DYNAMIC_METADATA(d:n)%',
      '- {"n" s\xc3 12',
    ],
    [
      '%FILTER_STATE(my.key)% %FILTER_STATE(my.key:PLAIN)% %FILTER_STATE(my.key:PLAIN):3% %FILTER_STATE(no)%',
      '"val GET" val GET val -',
    ],
    ['%COALESCE({"operators":[{"command":"REQ","param":"nope"},"PROTOCOL"]}):4%', 'HTTP'],
    ['100%%%REQ(x-a)%%REQ(X-B)%é', '100%abcdef-\xc3\xa9'],
  ])('%s', (format, text) => {
    expect(print(format)).toBe(text);
  });

  test('the default format', () => {
    expect(print(DEFAULT_LOG_FORMAT)).toBe(
      '[2026-11-21T03:46:04.341Z] "GET /p/x?a=1&b=%41bc&a=2&c HTTP/1.1" 200 - 0 5 4 3 "-" "curl/7.88.1" ' +
        '"9867047b-d64a-4eea-8d33-bbe630f23717" "127.0.0.1:31170" "127.0.0.1:31172"\n',
    );
  });

  test('the environment is read once, when compiled', () => {
    const variables: Record<string, string> = { HOME: '/root' };
    const formatter = compileText('%ENVIRONMENT(HOME)% %ENVIRONMENT(NOPE)% %ENVIRONMENT(HOME):2%', { variables });
    variables['HOME'] = '/else';
    expect(formatter.format(context)).toBe('/root - /r');
  });

  test('times that are now', () => {
    const clock = new FakeClock(200, Date.UTC(2026, 0, 2, 3, 4, 5, 6));
    const formatter = compileText('%EMIT_TIME% %EMIT_TIME(%s)% %DURATION%', { clock });
    const running = new KitStreamInfo(100, 0);
    expect(formatter.format({ ...context, info: running })).toBe('2026-01-02T03:04:05.006Z 1767323045 100');
    clock.advance(1500);
    expect(formatter.format({ ...context, info: running })).toBe('2026-01-02T03:04:06.506Z 1767323046 1600');
  });

  test('gRPC status: trailers, else headers, else by the HTTP status, and only for gRPC requests', () => {
    const formatter = compileText(
      '%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS(NUMBER)% %GRPC_STATUS_NUMBER%',
    );
    const grpc = { ...context, requestHeaders: new KitHeaders({ 'content-type': 'application/grpc+proto' }) };
    const withTrailers = (status: string): string =>
      formatter.format({ ...grpc, responseTrailers: new KitHeaders({ 'grpc-status': status }) });
    expect(withTrailers('5')).toBe('NotFound NOT_FOUND 5 5');
    expect(withTrailers('99')).toBe('99 99 99 99');
    expect(withTrailers('x')).toBe('-1 -1 -1 -1');
    expect(formatter.format(grpc)).toBe('Unknown UNKNOWN 2 2');
    expect(formatter.format({ ...grpc, requestHeaders: new KitHeaders({ 'content-type': 'application/grpcx' }) })).toBe(
      '- - - -',
    );
  });

  test('addresses of Unix sockets have no port', () => {
    const info = new KitStreamInfo(0, 0);
    info.connection = connectionOf('', '', {
      remoteAddress: '/tmp/a',
      localAddress: '/tmp/b',
      localIp: '',
      remoteIp: '',
    });
    const text = compileText(
      '%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_PORT%',
    );
    expect(text.format({ ...context, info })).toBe('/tmp/b /tmp/b -');
  });

  test('facts of a TLS handshake', () => {
    const info = new KitStreamInfo(0, 0);
    const tls = {
      version: 'TLSv1.3',
      cipher: 'TLS_AES_128_GCM_SHA256',
      sessionId: '',
      alpn: '',
      peerPresented: true,
      peerValidated: true,
      peerSubject: 'CN=é',
      peerIssuer: '',
      peerSerial: '',
      peerFingerprint256: '',
      peerUriSans: ['spiffe://a', 'spiffe://b'],
      peerDnsSans: [],
      localUriSans: [],
      localSubject: '',
      peerCertificate: '',
      peerCertificateChain: '',
    };
    info.connection = connectionOf('1.1.1.1:1', '2.2.2.2:2', { tls, requestedServerName: 'a.b' });
    const text = compileText(
      '%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_PEER_SUBJECT% %DOWNSTREAM_PEER_DNS_SAN% %REQUESTED_SERVER_NAME%',
    );
    expect(text.format({ ...context, info })).toBe('TLSv1.3 spiffe://a,spiffe://b CN=\xc3\xa9 - a.b');
  });

  test('print certificates of both sides, and only those that were shown', () => {
    const tls = {
      version: 'TLSv1.2',
      cipher: 'ECDHE-RSA-AES128-GCM-SHA256',
      group: 'X25519',
      sessionId: '0a',
      alpn: '',
      peerPresented: true,
      peerValidated: true,
      peerSubject: 'CN=peer',
      peerIssuer: 'CN=ca',
      peerSerial: '01',
      peerFingerprint256: 'f256',
      peerFingerprint1: 'f1',
      peerUriSans: [],
      peerDnsSans: ['a', 'b'],
      peerIpSans: ['::1'],
      peerEmailSans: ['a@b'],
      peerOtherNameSans: ['upn'],
      peerValidFromMs: Date.UTC(2026, 0, 2, 3, 4, 5),
      peerValidToMs: Date.UTC(2027, 0, 2, 3, 4, 5),
      peerChainFingerprints256: ['f256', 'g256'],
      peerChainFingerprints1: ['f1', 'g1'],
      peerChainSerials: ['01', '02'],
      peerIssuerSerial: '02',
      peerIssuerFingerprint256: 'g256',
      localUriSans: ['u'],
      localDnsSans: ['d'],
      localIpSans: ['10.0.0.1'],
      localEmailSans: ['e'],
      localOtherNameSans: ['o'],
      localSubject: 'CN=self',
      peerCertificate: 'pem',
      peerCertificateChain: 'pems',
    };
    const expected = {
      TLS_GROUP: 'X25519',
      TLS_SESSION_ID: '0a',
      PEER_DNS_SAN: 'a,b',
      PEER_IP_SAN: '::1',
      PEER_SUBJECT: 'CN=peer',
      PEER_ISSUER: 'CN=ca',
      PEER_CERT: 'pem',
      PEER_CERT_V_START: '2026-01-02T03:04:05.000Z',
      'PEER_CERT_V_END(%Y)': '2027',
      LOCAL_URI_SAN: 'u',
      LOCAL_DNS_SAN: 'd',
      LOCAL_IP_SAN: '10.0.0.1',
    };
    const downstreamOnly = {
      PEER_EMAIL_SAN: 'a@b',
      PEER_OTHERNAME_SAN: 'upn',
      PEER_SERIAL: '01',
      PEER_FINGERPRINT_1: 'f1',
      PEER_FINGERPRINT_256: 'f256',
      PEER_CHAIN_FINGERPRINTS_1: 'f1,g1',
      PEER_CHAIN_FINGERPRINTS_256: 'f256,g256',
      PEER_CHAIN_SERIALS: '01,02',
      PEER_ISSUER_SERIAL: '02',
      PEER_ISSUER_FINGERPRINT_256: 'g256',
      LOCAL_EMAIL_SAN: 'e',
      LOCAL_OTHERNAME_SAN: 'o',
      LOCAL_SUBJECT: 'CN=self',
    };
    const connection = connectionOf('1.1.1.1:1', '2.2.2.2:2', { tls });
    const printed = (name: string): string => {
      const info = new KitStreamInfo(0, 0);
      info.connection = connection;
      info.upstreamConnection = connection;
      return compileText(`%${name}%`).format({ ...context, info });
    };
    for (const side of ['DOWNSTREAM', 'UPSTREAM'])
      for (const [name, value] of Object.entries(expected))
        expect(`${side}_${name}: ${printed(`${side}_${name}`)}`).toBe(`${side}_${name}: ${value}`);
    for (const [name, value] of Object.entries(downstreamOnly))
      expect(`${name}: ${printed(`DOWNSTREAM_${name}`)}`).toBe(`${name}: ${value}`);
    const bare = new KitStreamInfo(0, 0);
    bare.connection = connectionOf('1.1.1.1:1', '2.2.2.2:2', { tls: { ...tls, peerPresented: false } });
    expect(compileText('%DOWNSTREAM_PEER_CERT_V_START%').format({ ...context, info: bare })).toBe('-');
  });
});

describe('format strings', () => {
  /** With what Envoy says. */
  test.each([
    ['100%', "Incorrect configuration: 100%. Couldn't find valid command at position 3", 3],
    ['abc %foo% x', "Incorrect configuration: abc %foo% x. Couldn't find valid command at position 4", 4],
    ['%FOO%', 'Not supported field in StreamInfo: FOO', 0],
    ['%toString%', "Incorrect configuration: %toString%. Couldn't find valid command at position 0", 0],
    ['a%REQ%', 'REQ requires parameters', 1],
    ['%REQ()%', 'REQ requires parameters', 0],
    ['%REQ(a?b?c)%', 'More than 1 alternative header specified in token: a?b?c', 0],
    ['%REQ(a b)%', 'Invalid header configuration. Format string contains invalid characters.', 0],
    ['%PROTOCOL(x)%', 'PROTOCOL does not take any parameters or length', 0],
    ['%PROTOCOL:3%', 'PROTOCOL does not take any parameters or length', 0],
    ['%START_TIME(%s):3%', 'START_TIME does not allow length to be specified.', 0],
    ['%CLUSTER_METADATA(x):3%', 'CLUSTER_METADATA does not allow length to be specified.', 0],
    ['%START_TIME(%n)%', 'Invalid header configuration. Format string contains newline.', 0],
    ['%COMMON_DURATION(DS_RX_BEG)%', 'Invalid common duration configuration: DS_RX_BEG.', 0],
    ['%COMMON_DURATION(DS_RX_BEG:a:b)%', 'Invalid common duration precision: b.', 0],
    ['%GRPC_STATUS(X)%', 'GrpcStatusFormatter only supports CAMEL_STRING, SNAKE_STRING or NUMBER. Got: X', 0],
    ['%FILTER_STATE()%', 'Invalid filter state configuration, key cannot be empty.', 0],
    ['%FILTER_STATE(a:X)%', 'Invalid filter state serialize type, only support PLAIN/TYPED/FIELD.', 0],
    ['%METADATA(X:y)%', 'X is not supported type of metadata', 0],
    ['%PATH(X)%', "Invalid PATH option: 'X', only 'WQ'/'NQ' are allowed", 0],
    ['%COALESCE({"operators":["REQ"]})%', 'COALESCE: failed to parse operator at index 0: REQ requires parameters', 0],
    ['%COALESCE({"operators":[]})%', "COALESCE: 'operators' array must not be empty", 0],
    ['%COALESCE({})%', "COALESCE: JSON configuration must contain 'operators' array", 0],
  ])('%s', (format, message, position) => {
    let error: unknown;
    try {
      compileText(format);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(FormatError);
    expect(error).toMatchObject({ message, position });
  });

  test('what always prints as missing is named', () => {
    expect(parseFormat('%CEL(1)% %PROTOCOL% %METADATA(LISTENER:x)% %METADATA(ROUTE:x)%').unsupported).toEqual([
      '%CEL(1)%',
      '%METADATA(LISTENER:x)%',
    ]);
  });

  test('a text without operators says so', () => {
    expect(compileText('a%%b').literal).toBe('a%b');
    expect(compileText('a%PROTOCOL%').literal).toBeUndefined();
  });

  test('omit_empty_values prints nothing where a value is missing', () => {
    expect(print('[%REQ(nope)%|%DOWNSTREAM_TLS_VERSION%|%RESPONSE_FLAGS%|%PROTOCOL%]', { omitEmptyValues: true })).toBe(
      '[||-|HTTP/1.1]',
    );
  });

  test('header values know the older spellings', () => {
    const value = (format: string): string => compileHeaderValue(format).format(context);
    expect(value('%UPSTREAM_METADATA(["m", "n"])%|%DYNAMIC_METADATA(["d","n"])%|%REQ(nope)%')).toBe('str|12|');
    expect(value('%PER_REQUEST_STATE(my.key)%')).toBe('val GET');
    expect(compileHeaderValue('plain').literal).toBe('plain');
  });

  test('never throw anything but FormatError, and print only bytes', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('%', '%%', '(', ')', ':', '?', '[', ']', '{', '"', '%REQ(', ')%', ':3%', '\n'),
      fc.constantFrom(...Object.keys(builtinOperators)).map((name) => `%${name}%`),
      fc
        .tuple(fc.constantFrom(...Object.keys(builtinOperators)), fc.string())
        .map(([name, args]) => `%${name}(${args})%`),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
        try {
          expect(compileText(pieces.join('')).format(context)).toMatch(/^[\0-\xff]*$/);
        } catch (error) {
          if (!(error instanceof FormatError)) throw error;
        }
      }),
    );
  });
});
