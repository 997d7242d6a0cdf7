import { describe, expect, test } from 'vitest';
import { chainFailure, handshakeFailure } from '../../../src/proxy/transport-socket/tls-failure.ts';

const error = (code: string, syscall?: string): NodeJS.ErrnoException =>
  Object.assign(new Error('x'), { code, ...(syscall !== undefined && { syscall }) });
const ssl = (number: number, name: string): string =>
  `TLS_error:|${number}:SSL routines:OPENSSL_internal:${name}:TLS_error_end`;

describe('handshakes that fail', () => {
  // Each line was seen in a real Envoy's log.
  test.each([
    ['ERR_SSL_HTTP_REQUEST', 268435612, 'HTTP_REQUEST'],
    ['ERR_SSL_HTTPS_PROXY_REQUEST', 268435611, 'HTTPS_PROXY_REQUEST'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 268435703, 'WRONG_VERSION_NUMBER'],
    ['ERR_SSL_UNSUPPORTED_PROTOCOL', 268435696, 'UNSUPPORTED_PROTOCOL'],
    ['ERR_SSL_NO_SHARED_CIPHER', 268435640, 'NO_SHARED_CIPHER'],
    ['ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM', 268435709, 'NO_COMMON_SIGNATURE_ALGORITHMS'],
    ['ERR_SSL_NO_SUITABLE_KEY_SHARE', 268435722, 'NO_SHARED_GROUP'],
    ['ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', 268436496, 'SSLV3_ALERT_HANDSHAKE_FAILURE'],
    ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 268436504, 'TLSV1_ALERT_UNKNOWN_CA'],
    ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 268436526, 'TLSV1_ALERT_PROTOCOL_VERSION'],
    ['ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL', 268436576, 'TLSV1_ALERT_NO_APPLICATION_PROTOCOL'],
  ])('%s', (code, number, name) => {
    expect(handshakeFailure(error(code), false)).toEqual({ reason: ssl(number, name), stat: 'connection_error' });
  });

  test('a refusal of the ClientHello says so', () => {
    expect(handshakeFailure(error('ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE'), true).reason).toBe(
      'TLS_error:|268436496:SSL routines:OPENSSL_internal:SSLV3_ALERT_HANDSHAKE_FAILURE|' +
        '268435610:SSL routines:OPENSSL_internal:HANDSHAKE_FAILURE_ON_CLIENT_HELLO:TLS_error_end',
    );
  });

  test('a reset is the system’s, and counted elsewhere; a peer that leaves gives no reason', () => {
    expect(handshakeFailure(error('ECONNRESET', 'read'), false)).toEqual({
      reason: 'TLS_error:|33554536:system library:OPENSSL_internal:Connection reset by peer:TLS_error_end',
      stat: undefined,
    });
    expect(handshakeFailure(error('ECONNRESET'), false)).toEqual({ reason: '', stat: undefined });
  });

  test('what is unknown keeps OpenSSL’s name', () => {
    expect(handshakeFailure(error('ERR_SSL_SOMETHING_NEW'), false).reason).toBe(ssl(268435456, 'SOMETHING_NEW'));
  });
});

test('the library’s verdicts on chains', () => {
  expect(chainFailure('CERT_HAS_EXPIRED').reason).toBe(
    'TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify cert failed: ' +
      'X509_verify_cert: certificate verification error at depth 0: certificate has expired:TLS_error_end',
  );
  expect(chainFailure('SOMETHING_NEW').reason).toContain('at depth 0: something new:');
});
