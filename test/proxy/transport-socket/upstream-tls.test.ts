import { once } from 'node:events';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions, type TLSSocket } from 'node:tls';
import { describe, expect, test } from 'vitest';
import type { CertificateValidationModel } from '../../../src/config/secret-model.ts';
import type { CommonTlsModel, UpstreamTlsModel } from '../../../src/config/transport-socket-model.ts';
import type { TlsInfo } from '../../../src/filters/stream-info.ts';
import { createUpstreamTransportSocket } from '../../../src/proxy/transport-socket/transport-sockets.ts';
import {
  NO_TRANSPORT_OPTIONS,
  type UpstreamTransportOptions,
  type UpstreamTransportSocket,
} from '../../../src/proxy/transport-socket/transport-socket.ts';
import { CertificateAuthority, type IssuedCertificate } from '../../support/certificates.ts';
import { certificateModel, exactSan, upstreamTlsModel, validationModel } from '../../support/tls-models.ts';
import { TlsRig } from './tls-rig.ts';

const ca = CertificateAuthority.create({ commonName: 'root' });
const other = CertificateAuthority.create({ commonName: 'other root' });
const leaf = ca.issue({ commonName: 'server', dns: ['server.example'], ip: ['127.0.0.1'] });
const client = ca.issue({ commonName: 'client' });

/** A host of the cluster, which remembers the handshakes it saw. */
class TlsHost implements AsyncDisposable {
  readonly seen: { servername: string | false; alpn: string | false; peer: string; first: string }[] = [];
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(options: TlsOptions = {}, issued: IssuedCertificate = leaf): Promise<TlsHost> {
    const server = createTlsServer({ cert: issued.chain, key: issued.key, ...options }, (socket: TLSSocket) => {
      const peer = socket.getPeerX509Certificate()?.subject ?? '';
      const { servername, alpnProtocol: alpn } = socket as TLSSocket & { servername: string | false };
      socket.on('error', () => {});
      socket.on('data', (chunk: Buffer) => {
        host.seen.push({ servername, alpn: alpn ?? false, peer, first: chunk.toString() });
        socket.end('answer');
      });
    });
    server.on('tlsClientError', () => {});
    const host = new TlsHost(server);
    return host.#listen();
  }

  /** One that sends bytes of its own choice. */
  static async raw(onData: (end: (bytes: string) => void, reset: () => void) => void): Promise<TlsHost> {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () =>
        onData(
          (bytes) => socket.end(bytes),
          () => socket.resetAndDestroy(),
        ),
      );
    });
    return new TlsHost(server).#listen();
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** A connection that somebody else accepted. */
  take(socket: Socket): void {
    this.#server.emit('connection', socket);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #listen(): Promise<TlsHost> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }
}

interface Outcome {
  readonly answer: string;
  readonly reason: string | undefined;
  readonly tls: TlsInfo | undefined;
  readonly resumed: boolean;
}

/** Does with a connection what the connector does. */
async function exchange(
  transport: UpstreamTransportSocket,
  port: number,
  options: Partial<UpstreamTransportOptions> = {},
  hostname = '',
): Promise<Outcome> {
  const buffer = Buffer.alloc(1024);
  let answer = '';
  let reason: string | undefined;
  let tls: TlsInfo | undefined;
  let resumed = false;
  const onread = {
    buffer: () => buffer,
    callback: (size: number) => {
      answer += buffer.toString('latin1', 0, size);
      return true;
    },
  };
  const connectOptions = { host: '127.0.0.1', port, onread, allowHalfOpen: true };
  const connection = transport.connect(connectOptions, hostname, { ...NO_TRANSPORT_OPTIONS, ...options });
  const { socket } = connection;
  let ready = false;
  socket.on(connection.readyEvent, () => {
    reason = connection.verify();
    if (reason !== undefined) {
      socket.destroy();
      return;
    }
    ready = true;
    tls = connection.describe();
    resumed = 'isSessionReused' in socket && (socket as TLSSocket).isSessionReused();
    if (connection.preamble !== undefined) socket.write(connection.preamble);
    socket.write('question');
  });
  socket.on('error', (error) => {
    if (!ready) reason = connection.explain(error) ?? `connect: ${(error as NodeJS.ErrnoException).code}`;
  });
  socket.on('end', () => socket.destroy());
  await new Promise((resolve) => socket.once('close', resolve));
  return { answer, reason, tls, resumed };
}

const trust = { inline: validationModel({ trustedCa: ca.certificate }), secret: undefined };

class Upstream extends TlsRig {
  readonly transport: UpstreamTransportSocket;

  constructor(common: Partial<CommonTlsModel> = { validation: trust }, more: Partial<UpstreamTlsModel> = {}) {
    super();
    this.transport = createUpstreamTransportSocket(
      upstreamTlsModel(common, more),
      this.stats.scope('test.'),
      this.environment,
    );
  }

  static validating(validation: Partial<CertificateValidationModel>, more: Partial<UpstreamTlsModel> = {}): Upstream {
    const inline = validationModel({ trustedCa: ca.certificate, ...validation });
    return new Upstream({ validation: { inline, secret: undefined } }, more);
  }
}

const OK = { answer: 'answer', reason: undefined };
const refused = (text: string) => ({ answer: '', tls: undefined, reason: expect.stringContaining(text) as string });

test('TLS 1.2 by default, as in Envoy', async () => {
  await using host = await TlsHost.start();
  const upstream = new Upstream();
  expect(await exchange(upstream.transport, host.port)).toMatchObject({
    ...OK,
    tls: {
      version: 'TLSv1.2',
      cipher: 'ECDHE-ECDSA-AES128-GCM-SHA256',
      group: 'X25519',
      peerSubject: 'CN=server',
      peerValidated: true,
    },
  });
  expect(upstream.count('handshake')).toBe(1);
  expect(upstream.named('versions.TLSv1.2')).toBe(1);
  expect(upstream.named('curves.X25519')).toBe(1);
});

describe('names', () => {
  test.each([
    ['nothing', {}, {}, '', false],
    ['the configured one', { sni: 'a.example' }, {}, '', 'a.example'],
    ['the host’s', { sni: 'a.example', autoHostSni: true }, {}, 'host.example', 'host.example'],
    ['the configured one for a host without', { sni: 'a.example', autoHostSni: true }, {}, '', 'a.example'],
    ['that of the request', { sni: 'a.example' }, { serverName: 'r.example' }, '', 'r.example'],
    ['never an address', { sni: 'a.example', autoHostSni: true }, {}, '10.0.0.1', false],
  ] as const)('sends %s', async (_, more, options, hostname, expected) => {
    await using host = await TlsHost.start();
    const upstream = new Upstream({}, more);
    expect(await exchange(upstream.transport, host.port, options, hostname)).toMatchObject(OK);
    expect(host.seen[0]!.servername).toBe(expected);
  });

  test('auto_sni_san_validation: the certificate has to be for the name that was sent', async () => {
    await using host = await TlsHost.start();
    const good = Upstream.validating({}, { autoSniSanValidation: true, sni: 'Server.Example' });
    expect(await exchange(good.transport, host.port)).toMatchObject(OK);
    const bad = Upstream.validating({}, { autoSniSanValidation: true, sni: 'other.example' });
    expect(await exchange(bad.transport, host.port)).toMatchObject(
      refused('SAN matcher, certificate SANs are [server.example, 127.0.0.1]'),
    );
    expect(bad.count('fail_verify_san')).toBe(1);
    expect(bad.count('handshake')).toBe(0);
  });

  test('names that a request expects', async () => {
    await using host = await TlsHost.start();
    const { transport } = new Upstream();
    expect(await exchange(transport, host.port, { subjectAltNames: ['x', 'server.example'] })).toMatchObject(OK);
    expect(await exchange(transport, host.port, { subjectAltNames: ['x', 'y'] })).toMatchObject(
      refused('verify SAN list, expected SANs: [x, y], certificate SANs: [server.example, 127.0.0.1]'),
    );
  });

  test.each([
    ['ip', '127.0.0.1', true],
    ['dns', 'other.example', false],
  ] as const)('matchers: %s %s', async (type, value, accepted) => {
    await using host = await TlsHost.start();
    const upstream = Upstream.validating({ subjectAltNames: [exactSan(type, value)] });
    expect(await exchange(upstream.transport, host.port)).toMatchObject(accepted ? OK : refused('SAN matcher'));
  });
});

describe('trust', () => {
  test('a certificate of another CA is refused, unless nobody asks', async () => {
    await using host = await TlsHost.start({}, other.issue());
    const upstream = new Upstream();
    expect(await exchange(upstream.transport, host.port)).toMatchObject(
      refused('at depth 0: unable to get local issuer certificate'),
    );
    expect(upstream.count('fail_verify_error')).toBe(1);
    const careless = new Upstream({});
    expect(await exchange(careless.transport, host.port)).toMatchObject({ ...OK, tls: { peerValidated: false } });
  });

  test('intermediates', async () => {
    const middle = ca.intermediate();
    await using host = await TlsHost.start({}, middle.issue());
    expect(await exchange(new Upstream().transport, host.port)).toMatchObject(OK);
    const partial = Upstream.validating({ trustedCa: middle.certificate });
    expect(await exchange(partial.transport, host.port)).toMatchObject(OK);
  });

  test('what Node trusts by itself counts for nothing', async () => {
    await using host = await TlsHost.start();
    const upstream = Upstream.validating({ trustedCa: other.certificate });
    expect(await exchange(upstream.transport, host.port)).toMatchObject(refused('unable to get local issuer'));
  });
});

test('client certificates', async () => {
  await using host = await TlsHost.start({ requestCert: true, rejectUnauthorized: true, ca: ca.certificate });
  const certificates = [{ kind: 'inline' as const, value: certificateModel(client) }];
  const upstream = new Upstream({ validation: trust, certificates });
  expect(await exchange(upstream.transport, host.port)).toMatchObject({ ...OK, tls: { localSubject: 'CN=client' } });
  expect(host.seen[0]!.peer).toBe('CN=client');
  const none = new Upstream();
  expect(await exchange(none.transport, host.port)).toMatchObject(
    refused('TLS_error:|268436496:SSL routines:OPENSSL_internal:SSLV3_ALERT_HANDSHAKE_FAILURE:TLS_error_end'),
  );
  expect(none.count('connection_error')).toBe(1);
});

test('ALPN: configured, or what a request asks for', async () => {
  await using host = await TlsHost.start({ ALPNProtocols: ['h2', 'http/1.1'] });
  const { transport } = new Upstream({ alpnProtocols: ['http/1.1'] });
  expect(await exchange(transport, host.port)).toMatchObject({ ...OK, tls: { alpn: 'http/1.1' } });
  expect(await exchange(transport, host.port, { alpnProtocols: ['h2'] })).toMatchObject({ ...OK, tls: { alpn: 'h2' } });
});

describe('failures', () => {
  test.each([
    ['plain text', 'HTTP/1.1 400 Bad Request\r\n\r\n', '268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER'],
    ['nothing', '', ''],
  ])('%s', async (_, bytes, text) => {
    await using host = await TlsHost.raw((end) => end(bytes));
    const upstream = new Upstream();
    const { reason } = await exchange(upstream.transport, host.port);
    expect(reason).toBe(text === '' ? '' : `TLS_error:|${text}:TLS_error_end`);
    expect(upstream.count('connection_error')).toBe(text === '' ? 0 : 1);
  });

  test('a reset', async () => {
    await using host = await TlsHost.raw((_, reset) => reset());
    expect((await exchange(new Upstream().transport, host.port)).reason).toBe(
      'TLS_error:|33554536:system library:OPENSSL_internal:Connection reset by peer:TLS_error_end',
    );
  });

  test('nothing in common', async () => {
    await using host = await TlsHost.start({ minVersion: 'TLSv1.3' });
    expect((await exchange(new Upstream().transport, host.port)).reason).toContain(':TLSV1_ALERT_PROTOCOL_VERSION:');
    await using rsaOnly = await TlsHost.start({}, ca.issue({ key: 'rsa' }));
    const ecdsaOnly = new Upstream({ cipherSuites: 'ECDHE-ECDSA-AES128-GCM-SHA256' });
    expect((await exchange(ecdsaOnly.transport, rsaOnly.port)).reason).toContain('HANDSHAKE_FAILURE_ON_CLIENT_HELLO');
  });

  test('a connect that fails is not the transport’s', async () => {
    const host = await TlsHost.start();
    const { port } = host;
    await host[Symbol.asyncDispose]();
    expect((await exchange(new Upstream().transport, port)).reason).toBe('connect: ECONNREFUSED');
  });
});

describe('sessions', () => {
  test.each([
    ['TLSv1.2', 'auto'],
    ['TLSv1.3', 'TLSv1.3'],
  ] as const)('are resumed (%s)', async (_, maxVersion) => {
    await using host = await TlsHost.start();
    const upstream = new Upstream({ validation: trust, maxVersion });
    expect((await exchange(upstream.transport, host.port)).resumed).toBe(false);
    expect(await exchange(upstream.transport, host.port)).toMatchObject({
      ...OK,
      resumed: true,
      tls: { peerSubject: 'CN=server', peerValidated: true },
    });
    expect(upstream.count('session_reused')).toBe(1);
    // Of another name it would be another host's.
    expect((await exchange(upstream.transport, host.port, { serverName: 'x.example' })).resumed).toBe(false);
  });

  test('not with max_session_keys 0, and none of a peer that was refused', async () => {
    await using host = await TlsHost.start();
    const none = new Upstream({ validation: trust }, { maxSessionKeys: 0 });
    await exchange(none.transport, host.port);
    expect((await exchange(none.transport, host.port)).resumed).toBe(false);
    const strict = Upstream.validating({ subjectAltNames: [exactSan('dns', 'x')] });
    await exchange(strict.transport, host.port);
    expect(await exchange(strict.transport, host.port)).toMatchObject(refused('SAN matcher'));
    expect(strict.count('session_reused')).toBe(0);
  });

  test('not when the secrets have changed', async () => {
    await using host = await TlsHost.start();
    const upstream = new Upstream({ validation: { inline: undefined, secret: 'ca' } });
    const secret = (trustedCa: string) =>
      upstream.set({ kind: 'validation', name: 'ca', value: validationModel({ trustedCa }) });
    expect(upstream.transport.isReady).toBe(false);
    secret(ca.certificate);
    expect(upstream.transport.isReady).toBe(true);
    expect(await exchange(upstream.transport, host.port)).toMatchObject(OK);
    secret(other.certificate);
    expect(await exchange(upstream.transport, host.port)).toMatchObject(refused('unable to get local issuer'));
  });
});

describe('PROXY protocol', () => {
  const downstream = {
    remoteIp: '1.2.3.4',
    remotePort: 5,
    localIp: '6.7.8.9',
    localPort: 10,
    tlvs: [
      { type: 0xe1, value: Buffer.from('one') },
      { type: 0xe2, value: Buffer.from('two') },
    ],
  };
  const make = (version: 'v1' | 'v2', inner: 'raw' | 'tls', passThroughTlvs: 'all' | readonly number[] = []) => {
    const rig = new TlsRig();
    return createUpstreamTransportSocket(
      {
        kind: 'proxy-protocol',
        version,
        passThroughTlvs,
        addedTlvs: [{ type: 0xe0, value: Buffer.from('x') }],
        inner: inner === 'raw' ? { kind: 'raw-buffer' } : upstreamTlsModel({ validation: trust }),
      },
      rig.stats.scope('test.'),
      rig.environment,
    );
  };
  /** A host that reads a header of `length` bytes before anything else. */
  const start = async (headers: Buffer[], tls: TlsHost | undefined) => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (chunk: Buffer) => {
        const end = chunk[0] === 0x50 ? chunk.indexOf('\r\n') + 2 : 16 + chunk.readUInt16BE(14);
        headers.push(chunk.subarray(0, end));
        if (tls === undefined) {
          socket.end('answer');
          return;
        }
        socket.pause();
        if (end < chunk.length) socket.unshift(chunk.subarray(end));
        tls.take(socket);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { port: (server.address() as AddressInfo).port, stop: () => server.close() };
  };

  test.each(['raw', 'tls'] as const)('version 1, then %s', async (inner) => {
    const headers: Buffer[] = [];
    await using host = await TlsHost.start();
    const { port, stop } = await start(headers, inner === 'tls' ? host : undefined);
    expect(await exchange(make('v1', inner), port, { downstream })).toMatchObject(OK);
    expect(headers[0]!.toString()).toBe('PROXY TCP4 1.2.3.4 6.7.8.9 5 10\r\n');
    expect(await exchange(make('v1', inner), port)).toMatchObject(OK);
    expect(headers[1]!.toString()).toMatch(new RegExp(`^PROXY TCP4 127.0.0.1 127.0.0.1 \\d+ ${port}\r\n$`));
    stop();
  });

  test('version 2 with TLVs', async () => {
    const headers: Buffer[] = [];
    const { port, stop } = await start(headers, undefined);
    await exchange(make('v2', 'raw', [0xe2]), port, { downstream });
    await exchange(make('v2', 'raw', 'all'), port, { downstream });
    await exchange(make('v2', 'raw'), port);
    stop();
    const tail = (header: Buffer): string => header.subarray(28).toString('latin1');
    expect(tail(headers[0]!)).toBe('\xe0\0\x01x\xe2\0\x03two');
    expect(tail(headers[1]!)).toBe('\xe0\0\x01x\xe1\0\x03one\xe2\0\x03two');
    expect(headers[2]!.subarray(12).toString('hex')).toBe('20000000');
  });
});
