import { expect, test } from 'vitest';
import { loadBootstrap } from '../../../src/config/bootstrap.ts';
import { formatProblem } from '../../../src/config/format-problem.ts';
import { buildStaticResources } from '../../../src/config/static-resources.ts';
import { builtinFilterRegistries } from '../../../src/filters/filter-registries.ts';

const TLS = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';

const authority = (fields: object): object => ({
  name: 'authority',
  typed_config: {
    '@type': 'type.googleapis.com/outrigger.certificate_authority.v3.IstioCertificateAuthority',
    ...fields,
  },
});
const grpc_service = { envoy_grpc: { cluster_name: 'ca' } };
const cluster = (name: string, more: object = {}): object => ({
  name,
  connect_timeout: '1s',
  load_assignment: { cluster_name: name },
  ...more,
});

async function build(extensions: readonly object[], clusters: readonly object[] = [], secrets: readonly object[] = []) {
  const static_resources = { clusters: [cluster('ca'), ...clusters], secrets };
  const loaded = await loadBootstrap({ config: { bootstrap_extensions: extensions, static_resources } });
  const resources = await buildStaticResources(loaded, builtinFilterRegistries());
  return { ...resources, problems: resources.problems.map(formatProblem) };
}

test('what is not said has the defaults of Istio', async () => {
  const { certificateAuthority, problems } = await build([authority({ grpc_service })]);
  expect(problems).toEqual([]);
  expect(certificateAuthority).toMatchObject({
    requestTimeoutMs: 10_000,
    spiffeId: 'spiffe://cluster.local/ns/default/sa/default',
    clusterId: 'Kubernetes',
    token: { specifier: { value: '/var/run/secrets/tokens/istio-token' } },
    requestedTtlSeconds: 86_400,
    keyType: 'p256',
    gracePeriodRatio: 0.5,
    names: { certificate: 'default', root: 'ROOTCA', sdsCluster: 'sds-grpc' },
  });
});

test('everything can be said', async () => {
  const fields = {
    grpc_service: { google_grpc: { target_uri: 'ca:1', stat_prefix: 'ca' }, timeout: '3s' },
    trust_domain: 'td',
    namespace: 'a',
    service_account: 'b',
    cluster_id: 'c',
    token: { environment_variable: 'TOKEN' },
    requested_ttl: '90s',
    key_type: 'RSA_2048',
    grace_period_ratio: 0.25,
    certificate_name: 'd',
    root_name: 'e',
    sds_cluster_name: 'f',
  };
  const { certificateAuthority, problems } = await build([authority(fields)]);
  expect(problems).toEqual([]);
  expect(certificateAuthority).toMatchObject({
    requestTimeoutMs: 3000,
    spiffeId: 'spiffe://td/ns/a/sa/b',
    clusterId: 'c',
    token: { specifier: { case: 'environmentVariable', value: 'TOKEN' } },
    requestedTtlSeconds: 90,
    keyType: 'rsa2048',
    gracePeriodRatio: 0.25,
    names: { certificate: 'd', root: 'e', sdsCluster: 'f' },
  });
  const whole = await build([authority({ ...fields, spiffe_id: 'spiffe://x/y' })]);
  expect(whole.certificateAuthority?.spiffeId).toBe('spiffe://x/y');
});

test.each([
  [[authority({})], 'grpc_service: value is required'],
  [[authority({ grpc_service: { envoy_grpc: { cluster_name: 'b' } } })], "Unknown gRPC client cluster 'b'"],
  [[authority({ grpc_service, grace_period_ratio: 1 })], 'grace_period_ratio'],
  [[authority({ grpc_service, requested_ttl: '0s' })], 'requested_ttl'],
  [[authority({ grpc_service, spiffe_id: 'a' })], 'spiffe_id'],
  [[authority({ grpc_service }), authority({ grpc_service })], 'there can be only one certificate authority'],
])('what makes no sense is refused: %j', async (extensions, problem) => {
  const { problems } = await build(extensions);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(problem);
});

const asking = (cluster_name: string): object => ({
  sds_config: { api_config_source: { api_type: 'GRPC', grpc_services: [{ envoy_grpc: { cluster_name } }] } },
});
const named = (name: string, more: object = {}): object =>
  cluster('peer', {
    transport_socket: {
      name: 'tls',
      typed_config: {
        '@type': TLS,
        common_tls_context: { tls_certificate_sds_secret_configs: [{ name, ...more }] },
      },
    },
  });

test('its names stand for what it issues, alone or at the cluster of its agents', async () => {
  for (const peer of [named('default'), named('default', asking('sds-grpc'))]) {
    const { problems, secrets } = await build([authority({ grpc_service })], [peer]);
    expect(problems).toEqual([]);
    expect(secrets).toMatchObject([
      { subscription: { resource: 'default', discovery: { source: { configSourceSpecifier: { case: 'self' } } } } },
    ]);
  }
});

test('other names, kinds and clusters stand for what they did before', async () => {
  const extensions = [authority({ grpc_service })];
  expect((await build(extensions, [named('other')])).problems.join()).toContain('Unknown static secret: other');
  expect((await build(extensions, [named('ROOTCA')])).problems.join()).toContain('Unknown static secret: ROOTCA');
  expect((await build(extensions, [named('default', asking('ca'))])).problems.join()).toContain("node 'id' and");
  expect((await build([], [named('default')])).problems.join()).toContain('Unknown static secret: default');
});
