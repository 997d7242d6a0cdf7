import { createHash } from 'node:crypto';
import type { ConnectionOptions } from 'node:tls';
import { describe, expect, test } from 'vitest';
import type { CertificateValidationModel } from '../../../src/config/secret-model.ts';
import { CertificateAuthority, selfSigned, spkiHash, type IssuedCertificate } from '../../support/certificates.ts';
import { certificateModel, downstreamTlsModel, exactSan, validationModel } from '../../support/tls-models.ts';
import { TlsServerRig } from './tls-rig.ts';

const ca = CertificateAuthority.create({ commonName: 'root' });
const other = CertificateAuthority.create({ commonName: 'other root' });
const middle = ca.intermediate({ commonName: 'middle' });
const lower = middle.intermediate({ commonName: 'lower' });
const server = ca.issue({ commonName: 'server', dns: ['server.example'] });
const DAY_MS = 86_400_000;
const past = { notBefore: new Date(Date.now() - 2 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) };

const client = ca.issue({ commonName: 'client', dns: ['client.example'], uri: ['spiffe://td/client'] });
const stranger = other.issue({ commonName: 'stranger', dns: ['client.example'] });
const as = ({ chain, key }: IssuedCertificate, more: ConnectionOptions = {}): ConnectionOptions => ({
  cert: chain,
  key,
  ...more,
});
const fingerprint = ({ der }: IssuedCertificate): string => createHash('sha256').update(der).digest('hex');

/** A server that wants what `validation` says of its clients. */
const start = (
  validation: Partial<CertificateValidationModel>,
  requireClientCertificate = true,
): Promise<TlsServerRig> =>
  TlsServerRig.start(
    downstreamTlsModel(
      {
        certificates: [{ kind: 'inline', value: certificateModel(server) }],
        validation: { inline: validationModel(validation), secret: undefined },
      },
      { requireClientCertificate },
    ),
  );

const OK = { client: 'ok', reason: undefined };
const refused = (text: string) => ({ tls: undefined, reason: expect.stringContaining(text) as string });

describe('trust', () => {
  const trust = { trustedCa: ca.certificate };

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('a certificate of the CA, and none other (%s)', async (maxVersion) => {
    await using rig = await start(trust);
    expect(await rig.handshake(as(client, { maxVersion }))).toMatchObject({
      ...OK,
      tls: { peerPresented: true, peerValidated: true, peerSubject: 'CN=client' },
    });
    expect(await rig.handshake(as(stranger, { maxVersion }))).toMatchObject(
      refused('at depth 0: unable to get local issuer certificate:'),
    );
    expect(await rig.handshake(as(selfSigned(), { maxVersion }))).toMatchObject(
      refused('at depth 0: self signed certificate:'),
    );
    expect(await rig.handshake(as(ca.issue(past), { maxVersion }))).toMatchObject(
      refused('at depth 0: certificate has expired:'),
    );
    expect(rig.count('fail_verify_error')).toBe(3);
    expect(rig.count('handshake')).toBe(1);
    expect(rig.count('connection_error')).toBe(0);
  });

  test.each([
    ['TLSv1.2', 'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE'],
    ['TLSv1.3', 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'],
  ] as const)('a missing one is answered with its alert (%s)', async (maxVersion, alert) => {
    await using rig = await start(trust);
    const exchange = await rig.handshake({ maxVersion });
    expect(exchange).toMatchObject({
      client: alert,
      ...refused(':PEER_DID_NOT_RETURN_A_CERTIFICATE:peer did not provide required client certificate:'),
    });
    expect(rig.count('fail_verify_no_cert')).toBe(1);
  });

  test('without the requirement none is fine, and a bad one is not', async () => {
    await using rig = await start(trust, false);
    expect(await rig.handshake()).toMatchObject({ ...OK, tls: { peerPresented: false, peerValidated: false } });
    expect(rig.count('no_certificate')).toBe(1);
    expect(await rig.handshake(as(stranger))).toMatchObject(refused('unable to get local issuer certificate'));
  });

  test('intermediates that the client sends are used; an intermediate may be the trusted one', async () => {
    const deep = lower.issue({ commonName: 'deep' });
    await using rig = await start(trust);
    expect(await rig.handshake(as(deep))).toMatchObject(OK);
    expect(await rig.handshake({ cert: deep.certificate, key: deep.key })).toMatchObject(
      refused('unable to get local issuer certificate'),
    );
    await using partial = await start({ trustedCa: middle.certificate });
    expect(await partial.handshake(as(deep))).toMatchObject(OK);
  });

  test('a certificate of a server only is none of a client', async () => {
    await using rig = await start(trust);
    const wrong = ca.issue({ extendedKeyUsage: ['server'] });
    expect(await rig.handshake(as(wrong))).toMatchObject(refused('unsupported certificate purpose'));
  });

  test('a context without a CA asks for nothing', async () => {
    await using rig = await start({});
    expect(await rig.handshake(as(stranger))).toMatchObject({ ...OK, tls: { peerPresented: false } });
  });
});

describe('names', () => {
  test.each([
    ['dns', 'client.example', true],
    ['dns', 'other.example', false],
    ['uri', 'spiffe://td/client', true],
    ['uri', 'spiffe://td/other', false],
    ['email', 'client.example', false],
  ] as const)('%s %s: %s', async (type, value, accepted) => {
    await using rig = await start({ trustedCa: ca.certificate, subjectAltNames: [exactSan(type, value)] });
    const exchange = await rig.handshake(as(client));
    if (accepted) expect(exchange).toMatchObject(OK);
    else {
      expect(exchange).toMatchObject(
        refused('SAN matcher, certificate SANs are [client.example, spiffe://td/client]:'),
      );
      expect(rig.count('fail_verify_san')).toBe(1);
    }
  });

  test('one of several is enough', async () => {
    const subjectAltNames = [exactSan('uri', 'x'), exactSan('dns', 'client.example')];
    await using rig = await start({ trustedCa: ca.certificate, subjectAltNames });
    expect(await rig.handshake(as(client))).toMatchObject(OK);
  });

  test('a resumed session is checked against the same names', async () => {
    await using open = await start({ trustedCa: ca.certificate });
    const { session } = await open.handshake(as(client));
    await using strict = await start({ trustedCa: ca.certificate, subjectAltNames: [exactSan('dns', 'other')] });
    expect(await strict.handshake(as(client, { session: session! }))).toMatchObject(refused('SAN matcher'));
    expect((await open.handshake(as(client, { session: session! }))).resumed).toBe(true);
  });

  test('who was refused can’t come back with the session of the refused connection', async () => {
    await using rig = await start({ trustedCa: ca.certificate, subjectAltNames: [exactSan('dns', 'other')] });
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { session } = await rig.handshake(as(client, { maxVersion }));
      const again = await rig.handshake(as(client, { maxVersion, ...(session !== undefined && { session }) }));
      expect(again).toMatchObject(refused('SAN matcher'));
    }
    await using trusting = await start({ trustedCa: ca.certificate });
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { session } = await trusting.handshake(as(stranger, { maxVersion }));
      const again = await trusting.handshake(as(stranger, { maxVersion, ...(session !== undefined && { session }) }));
      expect(again).toMatchObject(refused('unable to get'));
    }
  });
});

describe('pins', () => {
  test('a hash of the certificate, or of its key; one of them is enough', async () => {
    await using byHash = await start({ verifyCertificateHash: [fingerprint(stranger)] });
    expect(await byHash.handshake(as(stranger))).toMatchObject({ ...OK, tls: { peerValidated: true } });
    expect(await byHash.handshake(as(client))).toMatchObject(refused('cert hash and spki:'));
    expect(byHash.count('fail_verify_cert_hash')).toBe(1);
    await using byKey = await start({ verifyCertificateSpki: [spkiHash(client)], verifyCertificateHash: ['00'] });
    expect(await byKey.handshake(as(client))).toMatchObject(OK);
    expect(await byKey.handshake(as(stranger))).toMatchObject(refused('cert hash and spki:'));
  });

  test('a certificate is needed, even if none is required', async () => {
    await using rig = await start({ verifyCertificateHash: [fingerprint(client)] }, false);
    expect(await rig.handshake()).toMatchObject(refused('PEER_DID_NOT_RETURN_A_CERTIFICATE'));
  });

  test('come on top of the CA', async () => {
    await using rig = await start({ trustedCa: ca.certificate, verifyCertificateHash: [fingerprint(stranger)] });
    expect(await rig.handshake(as(stranger))).toMatchObject(refused('unable to get local issuer'));
  });
});

describe('revocation', () => {
  const revoked = ca.issue({ commonName: 'revoked' });
  const crl = ca.crl([revoked.serial]);

  test('a certificate on the list is refused', async () => {
    await using rig = await start({ trustedCa: ca.certificate, crl });
    expect(await rig.handshake(as(client))).toMatchObject(OK);
    expect(await rig.handshake(as(revoked))).toMatchObject(
      refused('certificate revocation check against provided CRLs failed: certificate revoked:'),
    );
  });

  test('a list among the trusted CAs counts', async () => {
    await using rig = await start({ trustedCa: `${ca.certificate}\n${crl}` });
    expect(await rig.handshake(as(revoked))).toMatchObject(refused('certificate revoked'));
  });

  test('each CA has to have one, unless only the leaf is checked', async () => {
    const below = middle.issue({ commonName: 'below' });
    const gone = middle.issue({ commonName: 'gone' });
    const lists = middle.crl([gone.serial]);
    await using all = await start({ trustedCa: ca.certificate, crl: lists });
    expect(await all.handshake(as(below))).toMatchObject(refused('unable to get certificate CRL'));
    await using leafOnly = await start({ trustedCa: ca.certificate, crl: lists, onlyVerifyLeafCertCrl: true });
    expect(await leafOnly.handshake(as(below))).toMatchObject(OK);
    expect(await leafOnly.handshake(as(gone))).toMatchObject(refused('certificate revoked'));
    expect(await leafOnly.handshake(as(client))).toMatchObject(refused('unable to get certificate CRL'));
  });

  test('a list of somebody else’s making, or an old one, is none', async () => {
    const forged = CertificateAuthority.create({ commonName: 'root' }).crl([]);
    await using rig = await start({ trustedCa: ca.certificate, crl: forged, onlyVerifyLeafCertCrl: true });
    expect(await rig.handshake(as(client))).toMatchObject(refused('CRL signature failure'));
    const stale = ca.crl([], new Date(Date.now() - 1000));
    await using old = await start({ trustedCa: ca.certificate, crl: stale, onlyVerifyLeafCertCrl: true });
    expect(await old.handshake(as(client))).toMatchObject(refused('CRL has expired'));
  });
});

describe('allow_expired_certificate', () => {
  const expired = ca.issue({ commonName: 'expired', ...past });
  const options = { trustedCa: ca.certificate, allowExpiredCertificate: true };

  test('an expired certificate of the CA is accepted, another is not', async () => {
    await using rig = await start(options);
    expect(await rig.handshake(as(expired))).toMatchObject({ ...OK, tls: { peerValidated: true } });
    expect(await rig.handshake(as(client))).toMatchObject(OK);
    expect(await rig.handshake(as(stranger))).toMatchObject(refused('unable to get local issuer'));
    // The library tells of the time last, and of nothing before it.
    expect(await rig.handshake(as(other.issue(past)))).toMatchObject(refused('unable to get local issuer'));
    expect(await rig.handshake(as(ca.issue({ ...past, extendedKeyUsage: ['server'] })))).toMatchObject(
      refused('unsupported certificate purpose'),
    );
  });

  test('a leaf can’t vouch for another', async () => {
    const notCa = ca.issue({ commonName: 'not a CA' });
    const forged = CertificateAuthority.create({ commonName: 'not a CA' }).issue(past);
    await using rig = await start(options);
    expect(await rig.handshake({ cert: forged.certificate + notCa.certificate, key: forged.key })).toMatchObject(
      refused('unable to get local issuer'),
    );
  });

  test('intermediates, and revocation', async () => {
    const below = middle.issue({ commonName: 'below', ...past });
    const gone = middle.issue({ commonName: 'gone', ...past });
    await using rig = await start({ ...options, crl: ca.crl() + middle.crl([gone.serial]) });
    expect(await rig.handshake(as(below))).toMatchObject(OK);
    expect(await rig.handshake(as(gone))).toMatchObject(refused('certificate revoked'));
  });
});

test('trust_chain_verification: ACCEPT_UNTRUSTED', async () => {
  await using rig = await start({ trustedCa: ca.certificate, trustChainVerification: 'accept-untrusted' });
  expect(await rig.handshake(as(stranger))).toMatchObject({
    ...OK,
    tls: { peerPresented: true, peerValidated: false },
  });
  expect(rig.count('fail_verify_error')).toBe(1);
  expect(await rig.handshake(as(client))).toMatchObject({ ...OK, tls: { peerValidated: true } });
  expect(await rig.handshake()).toMatchObject(refused('PEER_DID_NOT_RETURN_A_CERTIFICATE'));
});

test.each([
  [0, 'client', true],
  [1, 'middle', false],
  [2, 'middle', true],
  [2, 'lower', false],
  [3, 'lower', true],
] as const)('max_verify_depth %i: one below %s: %s', async (maxVerifyDepth, name, accepted) => {
  const issuer = { client: ca, middle, lower }[name];
  await using rig = await start({ trustedCa: ca.certificate, maxVerifyDepth });
  const exchange = await rig.handshake(as(issuer.issue()));
  expect(exchange).toMatchObject(
    accepted ? OK : refused(`at depth ${Math.max(1, maxVerifyDepth)}: unable to get local issuer`),
  );
});

describe('SPIFFE', () => {
  const one = CertificateAuthority.create({ commonName: 'one' });
  const two = CertificateAuthority.create({ commonName: 'two' });
  const spiffe = {
    spiffeTrustDomains: [
      { name: 'one.test', trustBundle: one.certificate },
      { name: 'two.test', trustBundle: two.certificate },
    ],
  };

  test('each domain has its own bundle', async () => {
    await using rig = await start(spiffe);
    expect(await rig.handshake(as(one.issueSpiffe('spiffe://one.test/a')))).toMatchObject({
      ...OK,
      tls: { peerUriSans: ['spiffe://one.test/a'] },
    });
    expect(await rig.handshake(as(two.issueSpiffe('spiffe://two.test/a')))).toMatchObject(OK);
    expect(await rig.handshake(as(two.intermediate().issueSpiffe('spiffe://two.test/a')))).toMatchObject(OK);
    const impostor = as(two.issueSpiffe('spiffe://one.test/a'));
    expect(await rig.handshake(impostor)).toMatchObject(refused('unable to get local issuer certificate'));
    const { session } = await rig.handshake(impostor);
    const again = await rig.handshake({ ...impostor, ...(session !== undefined && { session }) });
    expect(again).toMatchObject(refused('unable to get local issuer certificate'));
    expect(await rig.handshake(as(two.issueSpiffe('spiffe://three.test/a')))).toMatchObject(
      refused('no trust bundle store'),
    );
    expect(await rig.handshake(as(one.issue({ dns: ['one.test'] })))).toMatchObject(refused('no trust bundle store'));
    expect(await rig.handshake(as(other.issueSpiffe('spiffe://one.test/a')))).toMatchObject(refused('issuer'));
    expect(await rig.handshake()).toMatchObject(refused('PEER_DID_NOT_RETURN_A_CERTIFICATE'));
  });

  test('who may sign others is no workload', async () => {
    await using rig = await start(spiffe);
    const signer = one.issueSpiffe('spiffe://one.test/a', { keyUsage: ['digitalSignature', 'keyCertSign'] });
    expect(await rig.handshake(as(signer))).toMatchObject(refused('cert precheck'));
  });

  test('matchers of URIs count, others do not', async () => {
    await using rig = await start({
      ...spiffe,
      subjectAltNames: [exactSan('uri', 'spiffe://one.test/a'), exactSan('dns', 'x')],
    });
    expect(await rig.handshake(as(one.issueSpiffe('spiffe://one.test/a')))).toMatchObject(OK);
    expect(await rig.handshake(as(one.issueSpiffe('spiffe://one.test/b')))).toMatchObject(refused('SAN match:'));
  });
});

test('a secret completes the default validation context', async () => {
  const model = downstreamTlsModel(
    {
      certificates: [{ kind: 'inline', value: certificateModel(server) }],
      validation: { inline: validationModel({ subjectAltNames: [exactSan('dns', 'client.example')] }), secret: 'ca' },
    },
    { requireClientCertificate: true },
  );
  await using rig = await TlsServerRig.start(model);
  expect(rig.transport.isReady).toBe(false);
  const secret = (trustedCa: string) => ({
    kind: 'validation' as const,
    name: 'ca',
    value: validationModel({ trustedCa }),
  });
  rig.set(secret(ca.certificate));
  expect(await rig.handshake(as(client))).toMatchObject(OK);
  expect(await rig.handshake(as(ca.issue({ dns: ['x'] })))).toMatchObject(refused('SAN matcher'));
  const { session } = await rig.handshake(as(client));
  rig.set(secret(other.certificate));
  expect(await rig.handshake(as(client))).toMatchObject(refused('issuer'));
  // Nor with a session of the time before.
  expect(await rig.handshake(as(client, { session: session! }))).toMatchObject(refused('issuer'));
  expect(await rig.handshake(as(stranger))).toMatchObject(OK);
});
