import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TlsInspectorSchema } from '../../../src/api/generated/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js';
import { alpn, clientHello, handshake, helloBody, record, serverName } from '../../support/client-hello.ts';
import { cut, FilterUnderTest, RecordingConnection } from './harness.ts';

const inspector = (config = {}): Promise<FilterUnderTest> => FilterUnderTest.of(TlsInspectorSchema, config);
const hello = clientHello({ extensions: [serverName('A.example'), alpn('h2', 'http/1.1')] });

test('reads server name and protocols off a ClientHello', async () => {
  const filter = await inspector();
  const connection = new RecordingConnection();
  expect(filter.run(connection, hello)).toBe('continue');
  expect(connection).toMatchObject({
    transportProtocol: 'tls',
    serverName: 'a.example',
    applicationProtocols: ['h2', 'http/1.1'],
    ja3: '',
    ja4: '',
    consumed: 0,
  });
  for (const name of ['tls_found', 'sni_found', 'alpn_found', 'bytes_processed'])
    expect(filter.stats.read(`tls_inspector.${name}`), name).toBe(1);
});

test('fingerprints, where it is asked to, are those that Envoy prints', async () => {
  const filter = await inspector({ enableJa3Fingerprinting: true, enableJa4Fingerprinting: true });
  const prints = (bytes: Buffer): [string, string] => {
    const connection = new RecordingConnection();
    filter.run(connection, bytes);
    return [connection.ja3, connection.ja4];
  };
  expect(prints(clientHello({ extensions: [serverName('a.example')] }))).toEqual([
    '349640b9e304f8ea23a8e0f71dde2248',
    't12d020100_c1929292aa6b_000000000000',
  ]);
  expect(prints(clientHello({ extensions: undefined }))).toEqual([
    '6ac28f635e78b6e59638f7a1e035f458',
    't12i020000_c1929292aa6b_000000000000',
  ]);
  expect(prints(clientHello({ extensions: [serverName('a.example'), alpn('\x2f\x80')] }))).toEqual([
    '49cbdc1ae4567ba59ab722a6eed4184d',
    't12d020220_c1929292aa6b_000000000000',
  ]);
});

describe('what is no ClientHello', () => {
  test.each([
    ['plain text', 'hello', 'WRONG_VERSION_NUMBER'],
    ['a request', 'GET / HTTP/1.1', 'HTTP_REQUEST'],
    [
      'no extensions but bytes',
      record(handshake(Buffer.concat([helloBody({ extensions: undefined }), Buffer.from('z')]))),
      'CLIENTHELLO_PARSE_FAILED',
    ],
    ['an empty name', clientHello({ extensions: [serverName('')] }), 'ERROR_PARSING_EXTENSION'],
  ])('%s', async (_, bytes, error) => {
    const filter = await inspector();
    const connection = new RecordingConnection();
    expect(filter.run(connection, bytes)).toBe('continue');
    expect(connection.transportProtocol).toBe('');
    expect(connection.failure).toMatch(
      new RegExp(`^TLS_error\\|error:[0-9a-f]{8}:SSL routines:OPENSSL_internal:${error}:TLS_error_end$`),
    );
    expect(connection.metadata).toEqual({
      'envoy.filters.listener.tls_inspector/failure_reason': 'ClientHelloNotDetected',
    });
    expect(filter.stats.read('tls_inspector.tls_not_found')).toBe(1);
    const strict = await inspector({ closeConnectionOnClientHelloParsingErrors: true });
    expect(strict.run(new RecordingConnection(), bytes)).toBe('close');
  });

  test('a hello that never ends, beyond the limit', async () => {
    const filter = await inspector({ maxClientHelloSize: 300 });
    const endless = record(handshake(Buffer.alloc(280), 1, 16_000));
    expect(filter.run(new RecordingConnection(), endless)).toBe('wait');
    const connection = new RecordingConnection();
    expect(filter.run(connection, endless, record(Buffer.alloc(20)))).toBe('close');
    expect(filter.stats.read('tls_inspector.client_hello_too_large')).toBe(1);
    expect(Object.values(connection.metadata)).toEqual(['ClientHelloTooLarge']);
  });
});

test('however records and reads are cut, it finds the same', async () => {
  const filter = await inspector({ enableJa4Fingerprinting: true });
  const whole = new RecordingConnection();
  filter.run(whole, hello);
  const message = handshake(helloBody({ extensions: [serverName('A.example'), alpn('h2', 'http/1.1')] }));
  const places = fc.array(fc.nat(), { maxLength: 6 });
  fc.assert(
    fc.property(places, places, (records, reads) => {
      const bytes = Buffer.concat(cut(message, records).map((part) => record(part)));
      const connection = new RecordingConnection();
      expect(filter.run(connection, ...cut(bytes, reads))).toBe('continue');
      expect(connection).toEqual(whole);
    }),
  );
});

test('whatever comes, it says something, the same for every cut, and throws nothing', async () => {
  const filter = await inspector();
  const mutant = fc.tuple(fc.nat(hello.length - 1), fc.integer({ min: 0, max: 255 })).map(([at, value]) => {
    const bytes = Buffer.from(hello);
    bytes[at] = value;
    return bytes;
  });
  const bytes = fc.oneof(
    mutant,
    fc.uint8Array({ maxLength: 80 }).map((array) => record(Buffer.from(array))),
    fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
  );
  fc.assert(
    fc.property(bytes, fc.array(fc.nat(), { maxLength: 5 }), (input, places) => {
      const whole = new RecordingConnection();
      const verdict = filter.run(whole, input);
      const inPieces = new RecordingConnection();
      expect(filter.run(inPieces, ...cut(input, places))).toBe(verdict);
      expect(inPieces).toEqual(whole);
    }),
    { numRuns: 500 },
  );
});
