import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HttpInspectorSchema } from '../../../src/api/generated/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.js';
import { LocalRateLimitSchema } from '../../../src/api/generated/envoy/extensions/filters/listener/local_ratelimit/v3/local_ratelimit_pb.js';
import { OriginalDstSchema } from '../../../src/api/generated/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.js';
import { cut, FilterUnderTest, RecordingConnection } from './harness.ts';

test('http_inspector finds the version, however the bytes are cut', async () => {
  const filter = await FilterUnderTest.of(HttpInspectorSchema, {});
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
  const found: Readonly<Record<string, string | undefined>> = {
    'GET / HTTP/1.1\r\n': 'http/1.1',
    'GET /\n': 'http/1.0',
    [preface]: 'h2c',
    'x y\r\n': undefined,
  };
  fc.assert(
    fc.property(fc.constantFrom(...Object.keys(found)), fc.array(fc.nat(), { maxLength: 5 }), (text, places) => {
      const connection = new RecordingConnection();
      expect(filter.run(connection, ...cut(Buffer.from(text), places))).toBe('continue');
      expect(connection.applicationProtocols[0]).toBe(found[text]);
    }),
  );
  expect(filter.run(new RecordingConnection(), preface.slice(0, -1))).toBe('wait');
});

test('http_inspector leaves TLS alone, and gives up on a line without an end', async () => {
  const filter = await FilterUnderTest.of(HttpInspectorSchema, {});
  const tls = new RecordingConnection();
  tls.transportProtocol = 'tls';
  expect(filter.run(tls)).toBe('continue');
  expect(filter.run(new RecordingConnection(), `GET /${'a'.repeat(65_530)}`)).toBe('wait');
  expect(filter.run(new RecordingConnection(), `GET /${'a'.repeat(65_531)}`)).toBe('close');
  expect(filter.stats.read('http_inspector.read_error')).toBe(1);
});

test('original_dst restores the destination of a redirected connection', async () => {
  const filter = await FilterUnderTest.of(OriginalDstSchema, {});
  const connection = new RecordingConnection();
  expect(filter.run(connection)).toBe('continue');
  expect(connection.restored).toBeUndefined();
  connection.original = { ip: '10.1.2.3', port: 81 };
  filter.run(connection);
  expect(connection.restored).toBe('10.1.2.3 81');
});

test('local_ratelimit lets through as many as there are tokens', async () => {
  const filter = await FilterUnderTest.of(LocalRateLimitSchema, {
    statPrefix: 'rl',
    tokenBucket: { maxTokens: 2, tokensPerFill: 1, fillInterval: { seconds: 1n } },
  });
  const next = (): string => filter.run(new RecordingConnection());
  expect([next(), next(), next()]).toEqual(['continue', 'continue', 'close']);
  filter.clock.advance(999);
  expect(next()).toBe('close');
  filter.clock.advance(1);
  expect([next(), next()]).toEqual(['continue', 'close']);
  expect(filter.stats.read('listener_local_ratelimit.rl.rate_limited')).toBe(3);
});
