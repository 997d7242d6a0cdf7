import { toJson, type DescMessage, type JsonObject, type Message } from '@bufbuild/protobuf';
import type { ConfigDumpSource, DumpedResource, DynamicListenerDump } from '../admin/sources.ts';
import { ClusterSchema } from '../api/generated/envoy/config/cluster/v3/cluster_pb.js';
import { TypedExtensionConfigSchema } from '../api/generated/envoy/config/core/v3/extension_pb.js';
import { ListenerSchema } from '../api/generated/envoy/config/listener/v3/listener_pb.js';
import { RouteConfigurationSchema } from '../api/generated/envoy/config/route/v3/route_pb.js';
import { ScopedRouteConfigurationSchema } from '../api/generated/envoy/config/route/v3/scoped_route_pb.js';
import { redact } from '../api/redact.ts';
import type { TypeRegistry } from '../api/type-registry.ts';
import type { BuiltListener } from '../config/built-listener.ts';
import type { DynamicConfig } from './dynamic-config.ts';
import type { ListenerRegistry, ListenerRevision } from '../proxy/listener/listener-registry.ts';
import type { ClusterUpdateFailure } from '../xds/cds-api.ts';

export interface DynamicConfigDumpOptions {
  readonly types: TypeRegistry;
  readonly dynamic: Pick<DynamicConfig, 'cds' | 'lds' | 'routes' | 'scopes' | 'extensions'>;
  readonly listeners: Pick<ListenerRegistry<BuiltListener>, 'states'>;
}

/** `/config_dump` of what control planes have delivered, beside what the bootstrap has (`base`). */
export function dynamicConfigDump(base: ConfigDumpSource, options: DynamicConfigDumpOptions): ConfigDumpSource {
  const { types, dynamic } = options;
  const dumped = (name: string, desc: DescMessage, message: Message, versionInfo: string, lastUpdated: number) => ({
    name,
    desc,
    message: redact(types, desc, message),
    versionInfo,
    lastUpdated,
  });
  const failure = ({ versionInfo, lastUpdateAttempt, details, message }: ClusterUpdateFailure) => ({
    failedConfiguration: anyJson(types, ClusterSchema, message),
    versionInfo,
    lastUpdateAttempt,
    details,
  });
  function* clusters(state: 'active' | 'warming'): Generator<DumpedResource, void, void> {
    for (const cluster of dynamic.cds?.describe() ?? []) {
      if (cluster.state !== state) continue;
      const { name, message, versionInfo, lastUpdated, error } = cluster;
      const resource = dumped(name, ClusterSchema, message, versionInfo, lastUpdated);
      yield error === undefined ? resource : { ...resource, error: failure(error) };
    }
  }
  const revision = (name: string, of: ListenerRevision<BuiltListener>): DumpedResource =>
    dumped(name, ListenerSchema, of.spec.message, of.versionInfo, of.lastUpdatedMs);
  function* listeners(): Generator<DynamicListenerDump, void, void> {
    const failures = new Map(dynamic.lds?.failures);
    for (const { name, viaApi, active, warming, draining } of options.listeners.states()) {
      if (!viaApi) continue;
      const error = failures.get(name);
      failures.delete(name);
      yield {
        name,
        ...(active !== undefined && { active: revision(name, active) }),
        ...(warming !== undefined && { warming: revision(name, warming) }),
        ...(draining !== undefined && { draining: revision(name, draining) }),
        ...(error !== undefined && { error }),
      };
    }
    // What has never been accepted is shown by its failure.
    for (const [name, error] of failures) yield { name, error };
  }
  return {
    registry: base.registry,
    bootstrap: () => base.bootstrap(),
    clusters: () => ({
      versionInfo: dynamic.cds?.versionInfo ?? '',
      static: base.clusters().static,
      active: again(() => clusters('active')),
      warming: again(() => clusters('warming')),
    }),
    listeners: () => ({
      versionInfo: dynamic.lds?.versionInfo ?? '',
      static: base.listeners().static,
      dynamic: again(listeners),
    }),
    routes: () => ({
      static: base.routes().static,
      dynamic: dynamic.routes.map(({ name, message, versionInfo, lastUpdatedMs }) =>
        dumped(name, RouteConfigurationSchema, message, versionInfo, lastUpdatedMs),
      ),
    }),
    scopedRoutes: () =>
      dynamic.scopes.map(({ name, scopes, versionInfo, lastUpdatedMs }) => ({
        name,
        versionInfo,
        lastUpdated: lastUpdatedMs,
        scopes: scopes.map((scope) => dumped(scope.name, ScopedRouteConfigurationSchema, scope, '', lastUpdatedMs)),
      })),
    extensions: () =>
      dynamic.extensions.map(({ name, message, versionInfo, lastUpdatedMs }) =>
        dumped(name, TypedExtensionConfigSchema, message, versionInfo, lastUpdatedMs),
      ),
    endpoints: () => base.endpoints(),
    secrets: () => base.secrets(),
  };
}

/** A list that can be walked more than once. */
function again<Item>(walk: () => Iterator<Item>): Iterable<Item> {
  return { [Symbol.iterator]: walk };
}

/** Undefined: it holds a type that nobody knows. */
function anyJson(types: TypeRegistry, desc: DescMessage, message: Message): JsonObject {
  const type = { '@type': `type.googleapis.com/${desc.typeName}` };
  try {
    const json = toJson(desc, redact(types, desc, message), { registry: types.loaded, useProtoFieldName: true });
    return { ...type, ...(json as JsonObject) };
  } catch {
    return type;
  }
}
