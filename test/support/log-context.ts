import type { ConnectionInfo } from '../../src/filters/stream-info.ts';
import { KitHeaders } from '../../src/filters/test-kit/kit-headers.ts';
import { KitStreamInfo } from '../../src/filters/test-kit/kit-stream-info.ts';
import type { FormatContext } from '../../src/telemetry/access-log/access-log.ts';

/** A connection between two addresses. */
export function connectionOf(remote: string, local: string, extra: Partial<ConnectionInfo> = {}): ConnectionInfo {
  const [remoteIp = '', remotePort] = remote.split(':');
  const [localIp = '', localPort] = local.split(':');
  return {
    id: 0,
    remoteAddress: remote,
    remoteIp,
    remotePort: Number(remotePort),
    localAddress: local,
    localIp,
    localPort: Number(localPort),
    directRemoteAddress: remote,
    directRemoteIp: remoteIp,
    directRemotePort: Number(remotePort),
    requestedServerName: '',
    tls: undefined,
    filterChainName: '',
    startMs: 100,
    ...extra,
  };
}

/** What Envoy 1.40 knew of the request whose log lines the tests compare with. */
export function loggedRequest(): FormatContext & { readonly info: KitStreamInfo } {
  const info = new KitStreamInfo(100, Date.UTC(2026, 10, 21, 3, 46, 4) + 341.748);
  Object.assign(info, {
    connection: connectionOf('127.0.0.1:53896', '127.0.0.1:31170', {
      filterChainName: 'fchain',
      listenerName: 'lname',
    }),
    downstreamRemoteAddress: '127.0.0.1:53896',
    downstreamRemoteIp: '127.0.0.1',
    downstreamRemotePort: 53896,
    requestCompleteMs: 100.2,
    upstreamFirstTxMs: 100.5,
    upstreamLastTxMs: 100.6,
    upstreamFirstRxMs: 103.9,
    upstreamLastRxMs: 104,
    downstreamFirstTxMs: 104.05,
    downstreamLastTxMs: 104.122,
    endMs: 104.5,
    bytesSent: 5,
    wireBytesReceived: 139,
    wireBytesSent: 153,
    headerBytesReceived: 95,
    headerBytesSent: 129,
    upstreamWireBytesSent: 256,
    upstreamWireBytesReceived: 67,
    upstreamHeaderBytesSent: 217,
    upstreamHeaderBytesReceived: 40,
    responseCode: 200,
    responseCodeDetails: 'via_upstream',
    routeName: 'route1',
    virtualClusterName: 'vc',
    routeMetadata: { a: { b: 'c' } },
    upstreamCluster: 'c',
    upstreamClusterObservable: 'alt.c',
    upstreamClusterMetadata: { m: { l: [1, 2] } },
    upstreamHost: {
      address: '127.0.0.1:31172',
      hostname: 'hn.example:99',
      zone: '',
      metadata: {
        m: { n: 'str', num: 3, f: 1.5, t: true, nul: null, big: Number('12345678901234567890'), o: { b: 1, a: 2 } },
      },
    },
    upstreamConnection: connectionOf('127.0.0.1:31172', '127.0.0.1:54618', { id: 1 }),
    upstreamProtocol: 'HTTP/1.1',
    attemptCount: 1,
    streamId: '9867047b-d64a-4eea-8d33-bbe630f23717',
  });
  info.filterState.set('my.key', 'val GET');
  info.dynamicMetadata.set('d', { s: 'sé"x', n: 12, o: { z: [1, 'x', null, true], a: {} } });
  return {
    info,
    requestHeaders: new KitHeaders([
      [':authority', '127.0.0.1:31170'],
      [':path', '/p/x?a=1&b=%41bc&a=2&c'],
      [':method', 'GET'],
      [':scheme', 'http'],
      ['user-agent', 'curl/7.88.1'],
      ['accept', '*/*'],
      ['x-a', 'abcdef'],
      ['x-q', Buffer.from('a"b\\c/<é').toString('latin1')],
      ['x-empty', ''],
      ['x-forwarded-proto', 'http'],
      ['x-request-id', info.streamId],
      ['x-envoy-expected-rq-timeout-ms', '15000'],
    ]),
    responseHeaders: new KitHeaders([
      [':status', '200'],
      ['x-utf', 'h\xc3\xa9'],
      ['x-bad', '\xff\xfea'],
      ['content-length', '5'],
      ['x-envoy-upstream-service-time', '3'],
      ['date', 'Sat, 21 Nov 2026 03:46:04 GMT'],
      ['server', 'envoy'],
    ]),
    responseTrailers: undefined,
    localReplyBody: '',
    accessLogType: 'DownstreamEnd',
  };
}
