import { create, fromBinary } from '@bufbuild/protobuf';
import type { ConfigDumpSource, DumpedResource } from '../admin/sources.ts';
import { redact } from '../api/redact.ts';
import { SecretSchema } from '../api/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { BootstrapSchema } from '../api/generated/envoy/config/bootstrap/v3/bootstrap_pb.js';
import { ClusterSchema } from '../api/generated/envoy/config/cluster/v3/cluster_pb.js';
import {
  ClusterLoadAssignmentSchema,
  type ClusterLoadAssignment,
} from '../api/generated/envoy/config/endpoint/v3/endpoint_pb.js';
import { ListenerSchema, type Listener } from '../api/generated/envoy/config/listener/v3/listener_pb.js';
import { RouteConfigurationSchema } from '../api/generated/envoy/config/route/v3/route_pb.js';
import { HttpConnectionManagerSchema } from '../api/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { LoadedBootstrap } from '../config/bootstrap.ts';
import type { HostHealthStatus, HostSetModel } from '../config/cluster-model.ts';
import type { AddressModel } from '../config/common-model.ts';
import type { DeliveredSecret } from './secret-store.ts';
import { typeNameOf } from '../api/type-name.ts';

/** What nobody has said anything about counts, and is shown, as healthy. */
const HEALTH = { unknown: 1, healthy: 1, unhealthy: 2, draining: 3, timeout: 4, degraded: 5 } as const satisfies Record<
  HostHealthStatus,
  number
>;

/**
 * `/config_dump` of a bootstrap: its resources as they were configured, without what is secret in them, the endpoints
 * that are in use, and the secrets that discovery delivered.
 */
export function staticConfigDump(
  loaded: LoadedBootstrap,
  loadedAt: number,
  hostSets: () => Iterable<HostSetModel>,
  secrets: { readonly delivered: readonly DeliveredSecret[]; readonly warming: readonly DeliveredSecret[] },
): ConfigDumpSource {
  const { configured } = loaded;
  const resources = configured.staticResources;
  const dumped = (name: string, desc: DumpedResource['desc'], message: DumpedResource['message']): DumpedResource => ({
    name,
    desc,
    message: redact(loaded.registry, desc, message),
    versionInfo: '',
    lastUpdated: loadedAt,
  });
  const dumpSecret = ({ name, message, versionInfo, lastUpdated }: DeliveredSecret): DumpedResource => ({
    ...dumped(name, SecretSchema, message),
    versionInfo,
    lastUpdated,
  });
  const listeners = resources?.listeners ?? [];
  return {
    registry: loaded.registry.loaded,
    bootstrap: () => dumped('bootstrap', BootstrapSchema, configured),
    clusters: () => ({
      versionInfo: '',
      static: (resources?.clusters ?? []).map((cluster) => dumped(cluster.name, ClusterSchema, cluster)),
      active: [],
      warming: [],
    }),
    listeners: () => ({
      versionInfo: '',
      static: listeners.map((listener) => dumped(listener.name, ListenerSchema, listener)),
      dynamic: [],
    }),
    routes: () => ({
      static: listeners.flatMap(inlineRoutes).map((route) => dumped(route.name, RouteConfigurationSchema, route)),
      dynamic: [],
    }),
    endpoints: () => {
      const names = new Set(resources?.clusters.map(({ name }) => name));
      const sets = [...hostSets()];
      const dumpSet = (set: HostSetModel): DumpedResource =>
        dumped(set.cluster, ClusterLoadAssignmentSchema, loadAssignment(set));
      return {
        static: sets.filter(({ cluster }) => names.has(cluster)).map(dumpSet),
        dynamic: sets.filter(({ cluster }) => !names.has(cluster)).map(dumpSet),
      };
    },
    secrets: () => ({
      static: (resources?.secrets ?? []).map((secret) => dumped(secret.name, SecretSchema, secret)),
      active: secrets.delivered.map(dumpSecret),
      warming: secrets.warming.map(dumpSecret),
    }),
  };
}

/** The route configurations that a listener carries in itself. */
function inlineRoutes({ filterChains, defaultFilterChain }: Listener) {
  const chains = defaultFilterChain === undefined ? filterChains : [...filterChains, defaultFilterChain];
  return chains.flatMap(({ filters }) =>
    filters.flatMap(({ configType }) => {
      if (
        configType.case !== 'typedConfig' ||
        typeNameOf(configType.value.typeUrl) !== HttpConnectionManagerSchema.typeName
      )
        return [];
      const { routeSpecifier } = fromBinary(HttpConnectionManagerSchema, configType.value.value);
      return routeSpecifier.case === 'routeConfig' ? [routeSpecifier.value] : [];
    }),
  );
}

/** The endpoints that are in use, as the message that they might have come in. */
function loadAssignment({ cluster, hosts, localities, overprovisioningFactor }: HostSetModel): ClusterLoadAssignment {
  return create(ClusterLoadAssignmentSchema, {
    clusterName: cluster,
    endpoints: localities.map((locality, index) => ({
      locality: { region: locality.region, zone: locality.zone, subZone: locality.subZone },
      priority: locality.priority,
      // Envoy names what is the default, too.
      loadBalancingWeight: locality.weight ?? 0,
      lbEndpoints: hosts
        .filter((host) => host.locality === index)
        .map((host) => ({
          hostIdentifier: {
            case: 'endpoint' as const,
            value: { address: addressMessage(host.address), hostname: host.hostname, healthCheckConfig: {} },
          },
          healthStatus: HEALTH[host.healthStatus],
          loadBalancingWeight: host.weight,
        })),
    })),
    policy: { overprovisioningFactor: Math.round(overprovisioningFactor * 100) },
  });
}

function addressMessage(address: AddressModel) {
  return address.kind === 'pipe'
    ? { address: { case: 'pipe' as const, value: { path: address.path } } }
    : {
        address: {
          case: 'socketAddress' as const,
          value: { address: address.host, portSpecifier: { case: 'portValue' as const, value: address.port } },
        },
      };
}
