import { describe, expect, test } from 'vitest';
import type { TcpProxyModel } from '../../../src/config/tcp-proxy-model.ts';
import { buildListenerModel } from '../../support/listener-models.ts';

const NETWORK = 'type.googleapis.com/envoy.extensions.filters.network';
type Json = { [key: string]: unknown };

const filter = (name: string, type: string, config: Json = {}): Json => ({
  name,
  typed_config: { '@type': `${NETWORK}.${type}`, ...config },
});
const tcp = (config: Json = {}): Json =>
  filter('tcp', 'tcp_proxy.v3.TcpProxy', { stat_prefix: 's', cluster: 'c', ...config });

async function buildFilters(filters: readonly Json[]) {
  const { model, problems } = await buildListenerModel({ filter_chains: [{ filters }] } as never);
  return {
    filters: model.filterChains[0]!.networkFilters,
    problems: problems.map(({ severity, path, message }) => `${severity} ${path}: ${message}`),
  };
}

async function buildTcp(config: Json = {}): Promise<{ model: TcpProxyModel; problems: readonly string[] }> {
  const { filters, problems } = await buildFilters([tcp(config)]);
  const [last] = filters;
  if (last?.kind !== 'tcp-proxy') throw new Error(`built ${last?.kind}: ${problems.join()}`);
  return { model: last.tcpProxy, problems };
}

const AT = 'filter_chains[0].filters';

describe('tcp_proxy', () => {
  test('defaults', async () => {
    const { model, problems } = await buildTcp();
    expect(problems).toEqual([]);
    expect(model).toEqual({
      statPrefix: 's',
      clusters: [{ name: 'c', weight: 1, metadataMatch: undefined }],
      totalWeight: 1,
      idleTimeoutMs: 3_600_000,
      maxDownstreamConnectionDurationMs: 0,
      durationJitterPercent: 0,
      maxConnectAttempts: 1,
      backOff: undefined,
      metadataMatch: undefined,
      hashPolicies: [],
      tunneling: undefined,
      accessLogs: [],
      proxyProtocolTlvs: [],
      accessLogFlushIntervalMs: 0,
      flushAccessLogOnConnected: false,
    });
  });

  test('weighted clusters add their metadata to that of the filter', async () => {
    const lb = (fields: Json): Json => ({ filter_metadata: { 'envoy.lb': fields } });
    const { model } = await buildTcp({
      cluster: undefined,
      metadata_match: lb({ a: 1, b: 1 }),
      weighted_clusters: {
        clusters: [
          { name: 'x', weight: 2, metadata_match: lb({ b: 2 }) },
          { name: 'y', weight: 3 },
        ],
      },
    });
    expect(model.totalWeight).toBe(5);
    expect(model.clusters.map(({ metadataMatch }) => metadataMatch)).toEqual([
      { 'envoy.lb': { a: 1, b: 2 } },
      { 'envoy.lb': { a: 1, b: 1 } },
    ]);
  });

  test('what Envoy refuses', async () => {
    const { problems } = await buildTcp({
      flush_access_log_on_connected: true,
      access_log_flush_interval: '1s',
      access_log_options: {},
      tunneling_config: { hostname: '%NOBODY%', post_path: '/' },
    });
    expect(problems).toEqual([
      `error ${AT}[0].typed_config: Only one of flush_access_log_on_connected or access_log_options can be specified.`,
      `error ${AT}[0].typed_config: Only one of access_log_flush_interval or access_log_options can be specified.`,
      `error ${AT}[0].typed_config.tunneling_config: Can't set a post path when POST method isn't used`,
      expect.stringMatching(/^error .*tunneling_config\.hostname: .*NOBODY/) as string,
    ]);
  });

  test('back-off between attempts', async () => {
    const backOff = async (options: Json) => (await buildTcp({ backoff_options: options })).model.backOff;
    expect(await backOff({ base_interval: '0.1s' })).toEqual({ baseMs: 100, maxMs: 1000 });
    expect(await backOff({ base_interval: '0.1s', max_interval: '0.2s' })).toEqual({ baseMs: 100, maxMs: 200 });
  });

  test('what is not implemented is named', async () => {
    const { problems } = await buildTcp({ on_demand: { odcds_config: { ads: {} } } });
    expect(problems).toEqual([`unsupported ${AT}[0].typed_config.on_demand: is not implemented`]);
  });
});

describe('the place of a filter', () => {
  test('a chain of filters before its end', async () => {
    const { filters, problems } = await buildFilters([filter('sni', 'sni_cluster.v3.SniCluster'), tcp()]);
    expect(problems).toEqual([]);
    expect(filters.map(({ kind, name }) => `${kind} ${name}`)).toEqual(['extension sni', 'tcp-proxy tcp']);
  });

  test('a terminal filter is the last, and the last is terminal', async () => {
    const { problems } = await buildFilters([tcp(), filter('sni', 'sni_cluster.v3.SniCluster')]);
    expect(problems).toEqual([
      `error ${AT}[0]: Error: terminal filter named tcp of type envoy.filters.network.tcp_proxy must be the last filter in a network filter chain.`,
      `error ${AT}[1]: Error: non-terminal filter named sni of type envoy.filters.network.sni_cluster is the last filter in a network filter chain.`,
    ]);
  });

  test('a filter that there is not', async () => {
    const { problems } = await buildFilters([
      filter('mongo', 'mongo_proxy.v3.MongoProxy', { stat_prefix: 'm' }),
      tcp(),
    ]);
    expect(problems[0]).toMatch(
      /^error filter_chains\[0\]\.filters\[0\]\.typed_config: unsupported: .*mongo.*not implemented$/,
    );
  });
});
