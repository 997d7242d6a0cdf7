import { fromJson } from '@bufbuild/protobuf';
import { ServerCredentials } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NodeSchema } from '../../src/api/generated/envoy/config/core/v3/base_pb.js';
import {
  ApiConfigSourceSchema,
  ConfigSourceSchema,
} from '../../src/api/generated/envoy/config/core/v3/config_source_pb.js';
import { TypeRegistry } from '../../src/api/type-registry.ts';
import type { BuiltCluster } from '../../src/config/cluster-model.ts';
import type { UpstreamTlsModel } from '../../src/config/transport-socket-model.ts';
import { ControlPlaneTransports } from '../../src/server/control-plane-transports.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { ProcessLog } from '../../src/telemetry/log.ts';
import { ThreadStats } from '../../src/telemetry/stats/arena.ts';
import { TLS_STATS } from '../../src/telemetry/stats/tls-stats.ts';
import { RESOURCE_TYPES } from '../../src/xds/resource-type.ts';
import { XdsSources } from '../../src/xds/xds-sources.ts';
import { CertificateAuthority } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { GrpcControlPlane } from '../support/grpc-control-plane.ts';
import { certificateModel, exactSan, upstreamTlsModel, validationModel } from '../support/tls-models.ts';
import { assignment, endpoint, staticCluster } from '../support/upstream-models.ts';

const { cds } = RESOURCE_TYPES;
const types = new TypeRegistry();
const ca = CertificateAuthority.create();
const istiod = ca.issue({ dns: ['istiod.istio-system.svc'] });
const client = ca.issue({ uri: ['spiffe://cluster.local/ns/default/sa/me'] });

let server: GrpcControlPlane;
let stats: ThreadStats;
let transports: ControlPlaneTransports;
let sources: XdsSources | undefined;
let warnings: string[];
beforeEach(() => {
  server = new GrpcControlPlane();
  server.plane.set(cds, 'a', '1');
  stats = new ThreadStats();
  warnings = [];
  transports = new ControlPlaneTransports({ clock: systemClock, log: new ProcessLog({ level: 'off' }), stats });
});
afterEach(() => {
  sources?.close();
  sources = undefined;
  transports.close();
  server.close();
});

/** Subscribes to clusters over TLS; resolves to the first name, or the first failure. */
async function fetchOver(tls: UpstreamTlsModel): Promise<string> {
  const port = await server.listen(
    '127.0.0.1:0',
    ServerCredentials.createSsl(
      Buffer.from(ca.certificate),
      [{ cert_chain: Buffer.from(istiod.chain), private_key: Buffer.from(istiod.key) }],
      true,
    ),
  );
  const address = { kind: 'socket' as const, host: '127.0.0.1', port, ipv4Compat: false };
  const cluster: BuiltCluster = staticCluster(
    { name: 'xds', transportSocket: tls },
    { ...assignment([]), endpoints: [{ ...endpoint('127.0.0.1:1'), address }] },
  );
  const result = Promise.withResolvers<string>();
  const xds = new XdsSources({
    node: fromJson(NodeSchema, { id: 'me', cluster: 'mine' }),
    adsConfig: fromJson(ApiConfigSourceSchema, {
      api_type: 'GRPC',
      grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }],
    }),
    cluster: () => cluster,
    transport: (each) => transports.for(each),
    types,
    clock: systemClock,
    random: { unit: () => 0.01, below: () => 0 },
    log: {
      debug: (_component, message) => result.resolve(message),
      warn: (_component, message) => void warnings.push(message),
    },
    stats,
  });
  sources = xds;
  xds.subscribe(fromJson(ConfigSourceSchema, { ads: {} }), {
    typeUrl: cds,
    names: undefined,
    stats: stats.scope('cluster_manager.cds.'),
    onUpdate: ({ set }) => {
      result.resolve(set.map(({ name }) => name).join());
      return '';
    },
  });
  xds.start();
  return result.promise;
}

const handshakes = (): number => stats.block(TLS_STATS, 'cluster.xds.ssl.').get(TLS_STATS.at.handshake) + 0;
const identity = [{ kind: 'inline', value: certificateModel(client) }] as const;
const expecting = (name: string) => ({
  inline: validationModel({ trustedCa: ca.certificate, subjectAltNames: [exactSan('dns', name)] }),
  secret: undefined,
});

describe('a control plane behind TLS', () => {
  test('is reached with our certificate, when its own is what the context asks for', async () => {
    const validation = expecting('istiod.istio-system.svc');
    const tls = upstreamTlsModel({ certificates: identity, validation }, { sni: 'istiod.istio-system.svc' });
    expect(await fetchOver(tls)).toBe('a');
    expect(server.streams[0]!.authority).toBe('xds');
    expect(handshakes()).toBe(1);
  });

  test('by another name is refused', async () => {
    const tls = upstreamTlsModel({ certificates: identity, validation: expecting('other.test') });
    expect(await fetchOver(tls)).toMatch(/closed: 14, .*CERTIFICATE_VERIFY_FAILED/);
    expect(server.streams).toEqual([]);
    expect(handshakes()).toBe(0);
  });

  test('is not asked before our secrets are there, and is when they are', async () => {
    const tls = upstreamTlsModel({ certificates: [{ kind: 'secret', name: 'default' }] });
    expect(await fetchOver(tls)).toMatch(/closed: 14, .*Secret is not supplied by SDS/);
    transports.apply({ set: [{ kind: 'certificate', name: 'default', value: certificateModel(client) }], remove: [] });
    await eventually('a stream', () => server.streams.length > 0);
  });
});
