import { fromBinary, fromJson, toBinary, toJson } from '@bufbuild/protobuf';
import { StructSchema } from '@bufbuild/protobuf/wkt';
import { describe, expect, test } from 'vitest';
import { inertContext } from '../../../src/filters/inert-context.ts';
import type { Headers } from '../../../src/filters/headers.ts';
import type { HttpFilter, StreamContext } from '../../../src/filters/http/filter.ts';
import { FilterConfigSchema } from '../../../src/api/generated/istio/alpn_pb.js';
import { istioAlpn } from '../../../src/filters/istio/alpn.ts';
import { istioPeerMetadata } from '../../../src/filters/istio/peer-metadata.ts';
import { testFilter } from '../../../src/filters/test-kit.ts';
import { HeaderMap } from '../../../src/proxy/http/headers.ts';

describe('istio.alpn', () => {
  const config = fromJson(FilterConfigSchema, {
    alpnOverride: [
      { upstreamProtocol: 'HTTP10', alpnOverride: ['istio-http/1.0', 'istio'] },
      { upstreamProtocol: 'HTTP11', alpnOverride: ['istio-http/1.1', 'istio'] },
      { upstreamProtocol: 'HTTP2', alpnOverride: ['istio-h2', 'istio'] },
    ],
  });
  const offered = (cluster: StreamContext['cluster'], protocol = 'HTTP/1.1'): unknown => {
    const filterState = new Map<string, unknown>();
    const stream = { cluster, info: { protocol, filterState } } as unknown as StreamContext;
    const filter = istioAlpn.create(config, inertContext())(stream) as HttpFilter;
    expect(filter.onRequestHeaders!(new HeaderMap(), true)).toBe('continue');
    return filterState.get('envoy.network.application_protocols');
  };

  test('offers by the protocol of the cluster', () => {
    const metadata = undefined;
    expect(offered({ metadata, httpVersion: 'http1' })).toEqual(['istio-http/1.1', 'istio']);
    expect(offered({ metadata, httpVersion: 'http2' })).toEqual(['istio-h2', 'istio']);
    expect(offered({ metadata, httpVersion: 'downstream' }, 'HTTP/2')).toEqual(['istio-h2', 'istio']);
    expect(offered({ metadata, httpVersion: 'downstream' }, 'HTTP/1.0')).toEqual(['istio-http/1.0', 'istio']);
  });

  test('keeps off clusters that say so, and those that are not there', () => {
    expect(offered({ metadata: { istio: { alpn_override: 'false' } }, httpVersion: 'http1' })).toBeUndefined();
    expect(offered(undefined)).toBeUndefined();
  });
});

describe('peer metadata', () => {
  const config = { downstreamDiscovery: [{ istioHeaders: {} }], upstreamDiscovery: [{ istioHeaders: {} }] };
  const peer = Buffer.from(toBinary(StructSchema, fromJson(StructSchema, { NAME: 'pod' }))).toString('base64');
  const headers = { 'x-envoy-peer-metadata': peer, 'x-envoy-peer-metadata-id': 'sidecar~1', 'x-a': '1' };

  test('is taken from headers, which go no further', async () => {
    using t = await testFilter(istioPeerMetadata, { config });
    const request = await t.request({ headers: { ':path': '/', ...headers } });
    const response = await t.response({ headers: { ':status': '200', ...headers } });
    for (const message of [request, response]) expect([...message.headers!.entries()]).toEqual([['x-a', '1']]);
    expect(Object.fromEntries(t.info.filterState)).toEqual({
      downstream_peer: { NAME: 'pod', ID: 'sidecar~1' },
      upstream_peer: { NAME: 'pod', ID: 'sidecar~1' },
    });
  });

  test('that is none is dropped', async () => {
    using t = await testFilter(istioPeerMetadata, { config });
    const { headers: left } = await t.request({ headers: { ':path': '/', 'x-envoy-peer-metadata': 'AAAA' } });
    expect(left!.size).toBe(0);
    expect(t.info.filterState.size).toBe(0);
  });

  const node = {
    id: 'sidecar~2',
    metadata: { NAME: 'own', LABELS: { app: 'a', tier: 'gold', other: 'no' }, OWNER: 'x/replicasets/w', SECRET: 'no' },
  };
  const own = { NAME: 'own', LABELS: { app: 'a', tier: 'gold' } };
  const told = (result: { headers: Headers | undefined }): unknown => {
    const text = result.headers?.get('x-envoy-peer-metadata');
    return text && toJson(StructSchema, fromBinary(StructSchema, Buffer.from(text, 'base64')));
  };

  test('of this proxy goes to upstreams, in place of what came', async () => {
    const propagation = { upstreamPropagation: [{ istioHeaders: {} }], additionalLabels: ['tier'] };
    using t = await testFilter(istioPeerMetadata, { config: { ...config, ...propagation }, node });
    const request = await t.request({ headers: { ':path': '/', ...headers } });
    expect(told(request)).toEqual(own);
    expect(request.headers!.get('x-envoy-peer-metadata-id')).toBe('sidecar~2');
    expect(t.info.filterState.get('downstream_peer')).toEqual({ NAME: 'pod', ID: 'sidecar~1' });
  });

  test('goes back to those who have told theirs', async () => {
    const options = {
      config: { ...config, downstreamPropagation: [{ istioHeaders: {} }], additionalLabels: ['tier'] },
      node,
    };
    for (const [sent, expected] of [[headers, own] as const, [{}, undefined] as const]) {
      using t = await testFilter(istioPeerMetadata, options);
      const request = await t.request({ headers: { ':path': '/', ...sent } });
      expect(told(request)).toBeUndefined();
      expect(told(await t.response({ headers: { ':status': '200' } }))).toEqual(expected);
    }
  });

  test.each([
    [
      'a service outside',
      { clusterName: 'c', cluster: { metadata: { istio: { external: true } }, httpVersion: 'http1' } },
    ],
    ['whatever passes through', { clusterName: 'PassthroughCluster' }],
  ] as const)('does not go to %s, if so configured', async (_, route) => {
    for (const skipExternalClusters of [true, false]) {
      const istioHeaders = { skipExternalClusters };
      using t = await testFilter(istioPeerMetadata, {
        config: { upstreamPropagation: [{ istioHeaders }] },
        node,
        route,
      });
      expect(told(await t.request({ headers: { ':path': '/' } })) === undefined).toBe(skipExternalClusters);
    }
  });

  test('is left alone where nothing is to be discovered', async () => {
    expect((await testFilter(istioPeerMetadata, { config: {} })).filter).toBeUndefined();
  });
});
