import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { create, fromBinary } from '@bufbuild/protobuf';
import { ChannelCredentials } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { GrpcServiceSchema } from '../../src/api/generated/envoy/config/core/v3/grpc_service_pb.js';
import { IstioCertificateResponseSchema } from '../../src/api/generated/istio/ca_pb.js';
import { GrpcChannels } from '../../src/xds/grpc-channels.ts';
import { GrpcJsChannel } from '../../src/xds/grpc-js-channel.ts';
import { CertificateService } from '../support/certificate-service.ts';

const METHOD = '/istio.v1.auth.IstioCertificateService/CreateCertificate';

test('a connection that died without a word is not used for the next call', async () => {
  await using service = await CertificateService.start();
  service.chain = ['a', 'b'];
  const pairs: [Socket, Socket][] = [];
  const relay = createServer((socket) => {
    const onward = connect(service.port, '127.0.0.1');
    pairs.push([socket, onward]);
    for (const [from, to] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      from.pipe(to);
      from.on('error', () => to.destroy());
    }
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const channels = new GrpcChannels({ cluster: () => undefined, transport: () => undefined });
  try {
    const { port } = relay.address() as AddressInfo;
    const channel = channels.get(
      create(GrpcServiceSchema, {
        targetSpecifier: { case: 'googleGrpc', value: { targetUri: `127.0.0.1:${port}` } },
      }),
    );
    const call = (timeoutMs: number) => channel.call(METHOD, new Uint8Array(), timeoutMs, [['clusterid', 'c']]);
    const chain = (bytes: unknown) => fromBinary(IstioCertificateResponseSchema, bytes as Uint8Array).certChain;
    expect(chain(await call(5000))).toEqual(['a', 'b']);
    expect(service.requests[0]!.clusterId).toBe('c');
    for (const pair of pairs) for (const socket of pair) socket.unpipe();
    expect(await call(50)).toMatchObject({ code: 4 });
    expect(chain(await call(5000))).toEqual(['a', 'b']);
    expect(pairs).toHaveLength(2);
  } finally {
    channels.close();
    relay.close();
    for (const pair of pairs) for (const socket of pair) socket.destroy();
  }
});

test('a connection that was given up is not made again', async () => {
  const sockets: Socket[] = [];
  const arrived = (count: number): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => (sockets.length >= count ? resolve() : void silent.once('connection', look));
      look();
    });
  // Takes connections, and never says a word of HTTP/2.
  const silent = createServer((socket) => sockets.push(socket.on('error', () => {})));
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const target = (): Promise<string> => Promise.resolve(`127.0.0.1:${(silent.address() as AddressInfo).port}`);
  const events = { onMessage: () => {}, onEnd: () => {} };
  const open = (): GrpcJsChannel => {
    const channel = new GrpcJsChannel({
      destination: 'silent',
      target,
      credentials: ChannelCredentials.createInsecure(),
      channelOptions: {},
      metadata: [],
      connectTimeoutMs: 5000,
    });
    channel.openStream(METHOD, events);
    return channel;
  };
  const channels: GrpcJsChannel[] = [];
  try {
    for (let i = 1; i <= 3; i++) {
      channels.push(open());
      await arrived(i);
      channels.at(-1)!.close();
    }
    channels.push(open());
    await arrived(4);
    await once(silent, 'connection', { signal: AbortSignal.timeout(50) }).catch(() => {});
    expect(sockets).toHaveLength(4);
  } finally {
    for (const channel of channels) channel.close();
    silent.close();
    for (const socket of sockets) socket.destroy();
  }
});
