import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTcp } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { describe, expect, test } from 'vitest';
import type { SecretSource, TlsCertificateModel } from '../../../src/config/secret-model.ts';
import type { CommonTlsModel, DownstreamTlsModel } from '../../../src/config/transport-socket-model.ts';
import { CertificateAuthority, type IssuedCertificate } from '../../support/certificates.ts';
import { eventually } from '../../support/eventually.ts';
import { certificateModel, downstreamTlsModel } from '../../support/tls-models.ts';
import { TlsServerRig } from './tls-rig.ts';

const ca = CertificateAuthority.create();
const leaf = ca.issue({ commonName: 'server', dns: ['server.example'] });

const inline = (
  issued: IssuedCertificate,
  more: Partial<TlsCertificateModel> = {},
): SecretSource<TlsCertificateModel> => ({ kind: 'inline', value: certificateModel(issued, more) });
const start = (
  common: Partial<CommonTlsModel> = {},
  more: Partial<Omit<DownstreamTlsModel, 'common'>> = {},
): Promise<TlsServerRig> => TlsServerRig.start(downstreamTlsModel({ certificates: [inline(leaf)], ...common }, more));

describe('versions and suites', () => {
  test('TLS 1.3 and 1.2 by default, nothing older', async () => {
    await using rig = await start();
    expect(await rig.handshake()).toMatchObject({ client: 'ok', protocol: 'TLSv1.3', tls: { version: 'TLSv1.3' } });
    expect(await rig.handshake({ maxVersion: 'TLSv1.2' })).toMatchObject({ client: 'ok', protocol: 'TLSv1.2' });
    const old: ConnectionOptions = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' };
    expect(await rig.handshake(old)).toMatchObject({
      client: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
      reason: expect.stringContaining(':UNSUPPORTED_PROTOCOL:') as string,
    });
    expect(rig.count('handshake')).toBe(2);
    expect(rig.count('no_certificate')).toBe(2);
    expect(rig.count('connection_error')).toBe(1);
    expect(rig.named('versions.TLSv1.3')).toBe(1);
    expect(rig.named('versions.TLSv1.2')).toBe(1);
  });

  test('old versions when asked for', async () => {
    await using rig = await start({ minVersion: 'TLSv1', cipherSuites: 'ECDHE-ECDSA-AES128-SHA' });
    const old: ConnectionOptions = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' };
    expect(await rig.handshake(old)).toMatchObject({ client: 'ok', protocol: 'TLSv1.1' });
  });

  test('configured suites go by our order, unless the client’s is preferred', async () => {
    const suites = 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384';
    const wish: ConnectionOptions = {
      maxVersion: 'TLSv1.2',
      ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256',
    };
    await using ours = await start({ cipherSuites: suites });
    expect((await ours.handshake(wish)).tls?.cipher).toBe('ECDHE-ECDSA-AES128-GCM-SHA256');
    await using theirs = await start({ cipherSuites: suites }, { preferClientCiphers: true });
    expect((await theirs.handshake(wish)).tls?.cipher).toBe('ECDHE-ECDSA-AES256-GCM-SHA384');
  });

  test('groups and signature algorithms', async () => {
    await using rig = await start({ ecdhCurves: 'P-384', signatureAlgorithms: 'ecdsa_secp256r1_sha256' });
    expect((await rig.handshake({ ecdhCurve: 'P-384' })).client).toBe('ok');
    expect((await rig.handshake({ ecdhCurve: 'P-256' })).reason).toContain(':NO_SHARED_GROUP:');
    expect((await rig.handshake({ ecdhCurve: 'P-384', sigalgs: 'RSA-PSS+SHA256' })).client).not.toBe('ok');
  });
});

describe('what is no TLS', () => {
  test.each([
    ['a request', 'GET / HTTP/1.1\r\n\r\n', 'HTTP_REQUEST'],
    ['a proxy request', 'CONNECT a:1 HTTP/1.1\r\n\r\n', 'HTTPS_PROXY_REQUEST'],
    ['garbage', 'hello\n', 'WRONG_VERSION_NUMBER'],
    ['an alert', Buffer.from('15030100020230', 'hex'), ''],
  ])('%s', async (_, bytes, name) => {
    await using rig = await start({ alpnProtocols: ['h2'] });
    expect(await rig.raw(bytes)).toContain(name);
    expect(rig.count('connection_error')).toBe(1);
  });

  test('a client that leaves in the middle gives no reason', async () => {
    await using rig = await start();
    expect(await rig.raw(Buffer.from('1603010200010001fc0303', 'hex'), true)).toBe('');
    expect(rig.count('connection_error')).toBe(0);
  });
});

describe('ALPN', () => {
  test('goes by our order', async () => {
    await using rig = await start({ alpnProtocols: ['h2', 'http/1.1'] });
    const exchange = await rig.handshake({ ALPNProtocols: ['http/1.1', 'h2'] });
    expect(exchange).toMatchObject({ client: 'ok', alpn: 'h2', tls: { alpn: 'h2' } });
  });

  test.each([[undefined], [['foo']]])(
    'without anything in common the handshake goes on without it (%s)',
    async (seen) => {
      await using rig = await start({ alpnProtocols: ['h2'] });
      rig.offered = seen;
      expect(await rig.handshake({ ALPNProtocols: ['foo'] })).toMatchObject({
        client: 'ok',
        alpn: false,
        tls: { alpn: '' },
      });
    },
  );

  test('a ClientHello in pieces is put together', async () => {
    await using rig = await start({ alpnProtocols: ['h2'] });
    const direct = connectTcp(rig.port, '127.0.0.1');
    const tcp = direct.setNoDelay(true);
    const write = tcp.write.bind(tcp);
    // Every byte for itself, up to a point.
    let cut = 40;
    tcp.write = ((data: Buffer, ...rest: unknown[]) => {
      while (cut-- > 0 && data.length > 1) {
        write(data.subarray(0, 1));
        data = data.subarray(1);
      }
      return (write as (...args: unknown[]) => boolean)(data, ...rest);
    }) as typeof tcp.write;
    expect(await rig.handshake({ socket: tcp, ALPNProtocols: ['h2'] })).toMatchObject({ client: 'ok', alpn: 'h2' });
  });
});

describe('the choice of certificates', () => {
  const wild = ca.issue({ commonName: 'wild', dns: ['*.wild.example'] });
  const byCn = ca.issue({ commonName: 'cn.example' });
  const rsa = ca.issue({ commonName: 'rsa', dns: ['server.example'], key: 'rsa' });
  const certificates = [leaf, wild, byCn, rsa].map((issued) => inline(issued));

  test.each([
    ['server.example', 'CN=server'],
    ['SERVER.Example', 'CN=server'],
    ['a.wild.example', 'CN=wild'],
    ['a.b.wild.example', 'CN=server'],
    ['cn.example', 'CN=cn.example'],
    ['unknown.example', 'CN=server'],
    ['', 'CN=server'],
  ])('for %s: %s', async (servername, subject) => {
    await using rig = await start({ certificates });
    const exchange = await rig.handshake(servername === '' ? {} : { servername });
    expect(exchange).toMatchObject({ client: 'ok', subject, tls: { localSubject: subject } });
  });

  test('a client that can’t do ECDSA gets the RSA one of the same name, and without SNI any RSA one', async () => {
    await using rig = await start({ certificates });
    const onlyRsa: ConnectionOptions = { sigalgs: 'RSA-PSS+SHA256' };
    expect(await rig.handshake({ ...onlyRsa, servername: 'server.example' })).toMatchObject({ subject: 'CN=rsa' });
    expect(await rig.handshake(onlyRsa)).toMatchObject({ subject: 'CN=rsa' });
    expect((await rig.handshake({ ...onlyRsa, servername: 'unknown.example' })).client).not.toBe('ok');
  });

  test('a full scan finds one for any name', async () => {
    await using rig = await start({ certificates }, { fullScanCertsOnSniMismatch: true });
    const onlyRsa: ConnectionOptions = { sigalgs: 'RSA-PSS+SHA256', servername: 'unknown.example' };
    expect(await rig.handshake(onlyRsa)).toMatchObject({ subject: 'CN=rsa' });
  });
});

describe('sessions', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)('are resumed by workers with the same key (%s)', async (maxVersion) => {
    await using one = await start();
    await using two = await start();
    const { session } = await one.handshake({ maxVersion });
    expect(session).toBeDefined();
    expect((await two.handshake({ maxVersion, session: session! })).resumed).toBe(true);
    expect(two.count('session_reused')).toBe(1);
    expect(two.count('handshake')).toBe(1);
  });

  test('are not where they are disabled, or the keys differ', async () => {
    await using one = await start();
    const { session } = await one.handshake();
    await using other = await start({}, { ownTicketKeys: Buffer.alloc(80, 8) });
    expect(await other.handshake({ session: session! })).toMatchObject({ client: 'ok', resumed: false });
    await using none = await start({}, { disableStatelessResumption: true });
    const { session: useless } = await none.handshake();
    expect(await none.handshake({ session: useless ?? session! })).toMatchObject({ client: 'ok', resumed: false });
  });

  test('keys from the configuration, inline or by name', async () => {
    const keys = { keys: [Buffer.alloc(80, 9), Buffer.alloc(80, 10)] };
    await using one = await start({}, { ticketKeys: { kind: 'inline', value: keys } });
    const { session } = await one.handshake();
    const named = downstreamTlsModel({ certificates: [inline(leaf)] }, { ticketKeys: { kind: 'secret', name: 'k' } });
    await using two = await TlsServerRig.start(named);
    expect(two.transport.isReady).toBe(false);
    two.set({ kind: 'ticket-keys', name: 'k', value: keys });
    expect(two.transport.isReady).toBe(true);
    expect((await two.handshake({ session: session! })).resumed).toBe(true);
  });
});

describe('OCSP', () => {
  const good = ca.ocsp(leaf);
  const expired = ca.ocsp(leaf, { nextUpdate: new Date(Date.now() - 1000) });
  const policies = ['lenient', 'strict', 'must-staple'] as const;

  test.each(policies)('a valid response is stapled (%s)', async (ocspStaplePolicy) => {
    await using rig = await start({ certificates: [inline(leaf, { ocspStaple: good })] }, { ocspStaplePolicy });
    const exchange = await rig.handshake({ requestOCSP: true });
    expect(exchange.staple?.equals(good)).toBe(true);
    expect((await rig.handshake()).staple).toBeUndefined();
    expect(rig.count('ocsp_staple_requests')).toBe(1);
    expect(rig.count('ocsp_staple_responses')).toBe(1);
  });

  test.each([
    ['lenient', 'ok'],
    ['strict', ''],
    ['must-staple', ''],
  ] as const)('an expired one (%s)', async (ocspStaplePolicy, client) => {
    await using rig = await start({ certificates: [inline(leaf, { ocspStaple: expired })] }, { ocspStaplePolicy });
    const exchange = await rig.handshake({ requestOCSP: true });
    expect(exchange.client === 'ok').toBe(client === 'ok');
    expect(rig.count(client === 'ok' ? 'ocsp_staple_omitted' : 'ocsp_staple_failed')).toBe(1);
    expect((await rig.handshake()).client).toBe('ok');
  });

  test('a certificate that promises one is as good as the strictest policy', async () => {
    const must = ca.issue({ dns: ['must.example'], mustStaple: true });
    await using rig = await start({ certificates: [inline(must)] });
    expect((await rig.handshake({ requestOCSP: true })).client).not.toBe('ok');
    expect(rig.count('ocsp_staple_failed')).toBe(1);
  });
});

describe('secrets', () => {
  const byName = downstreamTlsModel({ certificates: [{ kind: 'secret', name: 'cert' }] });
  const named = (issued: IssuedCertificate) => ({
    kind: 'certificate' as const,
    name: 'cert',
    value: certificateModel(issued),
  });

  test('a chain is ready when they have come; new ones serve new handshakes', async () => {
    await using rig = await TlsServerRig.start(byName);
    expect(rig.transport.isReady).toBe(false);
    rig.set(named(leaf));
    expect(rig.transport.isReady).toBe(true);
    expect(await rig.handshake()).toMatchObject({ client: 'ok', subject: 'CN=server' });
    rig.set(named(ca.issue({ commonName: 'new', dns: ['new.example'] })));
    expect(await rig.handshake()).toMatchObject({ client: 'ok', subject: 'CN=new' });
  });

  test('one that the library refuses leaves the old one in use, and is told', async () => {
    await using rig = await TlsServerRig.start(byName);
    rig.set(named(leaf));
    rig.set(named({ ...leaf, key: ca.key }));
    expect(rig.errors).toHaveLength(1);
    expect(await rig.handshake()).toMatchObject({ client: 'ok', subject: 'CN=server' });
  });

  test('nobody is told after the chain has gone', async () => {
    await using rig = await TlsServerRig.start(byName);
    rig.transport.close();
    rig.set(named(leaf));
    expect(rig.transport.isReady).toBe(false);
  });
});

test('renegotiation is refused', async () => {
  await using rig = await start({ maxVersion: 'TLSv1.2' });
  const { connect } = await import('node:tls');
  const socket = connect({ port: rig.port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: [] });
  const error = await new Promise<NodeJS.ErrnoException>((resolve) => {
    socket.on('error', resolve);
    socket.on('secureConnect', () => socket.renegotiate({}, (failure) => failure !== null && resolve(failure)));
  });
  expect(error.code).toContain('NO_RENEGOTIATION');
  socket.destroy();
});

test('keys are logged for the addresses that are asked for', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'key-log-'));
  try {
    const path = join(dir, 'keys');
    await using one = await start({ keyLog: { path, localAddressRanges: ['127.0.0.0/8'], remoteAddressRanges: [] } });
    await one.handshake();
    const other = join(dir, 'other');
    await using two = await start({
      keyLog: { path: other, localAddressRanges: [], remoteAddressRanges: ['10.0.0.0/8'] },
    });
    await two.handshake();
    await eventually('the keys', () => existsSync(path) && readFileSync(path, 'latin1').includes('TRAFFIC_SECRET'));
    expect(existsSync(other)).toBe(false);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('an owner that throws costs its connection', async () => {
  await using rig = await start();
  const { createServer, connect } = await import('node:net');
  const server = createServer((socket) => {
    socket.on('error', () => {});
    rig.transport.wrap(socket, {
      onHandshakeDone: () => {
        throw new Error('a bug');
      },
      onHandshakeFailed: () => {},
    });
  }).listen(0, '127.0.0.1');
  const { connect: connectTls } = await import('node:tls');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const socket = connectTls({ socket: connect(port, '127.0.0.1'), rejectUnauthorized: false });
  socket.on('error', () => {});
  socket.resume();
  await new Promise((resolve) => socket.once('close', resolve));
  expect(rig.errors.join()).toContain('a bug');
  server.close();
});
