import { describe, expect, test } from 'vitest';
import type { ForwardClientCertModel } from '../../../src/config/hcm-model.ts';
import type { TlsInfo } from '../../../src/filters/stream-info.ts';
import { mutateClientCertHeader } from '../../../src/proxy/http/client-cert-header.ts';
import { HeaderMap } from '../../../src/proxy/http/headers.ts';

const tls: TlsInfo = {
  version: 'TLSv1.3',
  cipher: '',
  sessionId: '',
  alpn: '',
  peerPresented: true,
  peerValidated: true,
  peerSubject: 'CN=a',
  peerIssuer: '',
  peerSerial: '',
  peerFingerprint256: 'abcd',
  peerUriSans: ['spiffe://a', 'spiffe://b'],
  peerDnsSans: ['a.example'],
  localUriSans: ['spiffe://me'],
  localSubject: '',
  peerCertificate: 'PEM',
  peerCertificateChain: 'CHAIN',
};
const all = { subject: true, cert: true, chain: true, dns: true, uri: true };

function mutate(mode: ForwardClientCertModel['mode'], info: TlsInfo | undefined, details: Partial<typeof all> = {}) {
  const headers = HeaderMap.of([['x-forwarded-client-cert', 'Hash=client']]);
  const none = { subject: false, cert: false, chain: false, dns: false, uri: false };
  mutateClientCertHeader(headers, info, { mode, ...none, ...details });
  return headers.get('x-forwarded-client-cert');
}

describe('x-forwarded-client-cert', () => {
  test('is removed by sanitize, and without a client certificate by all modes but one', () => {
    expect(mutate('sanitize', tls)).toBeUndefined();
    for (const mode of ['forward-only', 'append-forward', 'sanitize-set'] as const) {
      expect(mutate(mode, undefined)).toBeUndefined();
      expect(mutate(mode, { ...tls, peerPresented: false })).toBeUndefined();
    }
    expect(mutate('always-forward-only', undefined)).toBe('Hash=client');
  });

  test('is forwarded, appended to or set', () => {
    expect(mutate('forward-only', tls)).toBe('Hash=client');
    expect(mutate('append-forward', tls)).toBe('Hash=client,By=spiffe://me;Hash=abcd');
    expect(mutate('sanitize-set', tls)).toBe('By=spiffe://me;Hash=abcd');
  });

  test('holds what was asked for', () => {
    expect(mutate('sanitize-set', tls, all)).toBe(
      'By=spiffe://me;Hash=abcd;Cert="PEM";Chain="CHAIN";Subject="CN=a";URI=spiffe://a;URI=spiffe://b;DNS=a.example',
    );
    const bare = { ...tls, peerSubject: '', peerUriSans: [], peerDnsSans: [] };
    expect(mutate('sanitize-set', bare, { subject: true, uri: true, dns: true })).toBe(
      'By=spiffe://me;Hash=abcd;Subject="";URI=',
    );
  });
});
