import type { Any } from '@bufbuild/protobuf/wkt';
import { unpackAny } from '../api/any.ts';
import type { Admin, Bootstrap } from '../api/generated/envoy/config/bootstrap/v3/bootstrap_pb.js';
import {
  AdminSchema,
  Bootstrap_DynamicResourcesSchema,
  Bootstrap_StaticResourcesSchema,
  BootstrapSchema,
  ClusterManagerSchema,
} from '../api/generated/envoy/config/bootstrap/v3/bootstrap_pb.js';
import type { TypeRegistry } from '../api/type-registry.ts';
import { CERTIFICATE_AUTHORITY } from './builders/certificate-authority.ts';
import { buildOverloadManager, type OverloadModel } from './builders/overload-manager.ts';
import type { Problems } from './problem.ts';
import { RuntimeLayers } from './runtime-layers.ts';
import { reportUnsupported } from './unsupported.ts';
import { typeNameOf } from '../api/type-name.ts';

/** The bootstrap's own fields that something reads. Resources are their builders' concern. */
const SUPPORTED = [
  'node',
  'static_resources',
  'dynamic_resources',
  'cluster_manager',
  'config_sources',
  'default_config_source',
  'node_context_params',
  'admin',
  'application_log_config',
  'default_regex_engine',
  'layered_runtime',
  'stats_config',
  'stats_flush_interval',
  'stats_flush_on_admin',
  'bootstrap_extensions',
  'overload_manager',
  // Hints for Envoy's own machinery that mean nothing here, and change nothing that can be seen.
  'deferred_stat_options',
  'memory_allocator_manager',
  'perf_tracing_file_path',
];
const EXTENSIONS: ReadonlySet<string> = new Set([
  // Readies Envoy for internal listeners, which are refused where they are configured.
  'envoy.extensions.bootstrap.internal_listener.v3.InternalListener',
  CERTIFICATE_AUTHORITY,
]);
const GOOGLE_RE2 = 'envoy.extensions.regex_engines.v3.GoogleRE2';

/**
 * Finds what Envoy refuses in a bootstrap beyond the rules of its messages, and what of it is not implemented. Builds
 * the runtime layers on the way.
 */
export function checkBootstrap(
  bootstrap: Bootstrap,
  types: TypeRegistry,
  problems: Problems,
): { readonly runtime: RuntimeLayers; readonly overload: OverloadModel } {
  reportUnsupported(BootstrapSchema, bootstrap, SUPPORTED, problems);
  checkStaticResources(bootstrap, problems.at('static_resources'));
  if (bootstrap.dynamicResources !== undefined)
    reportUnsupported(
      Bootstrap_DynamicResourcesSchema,
      bootstrap.dynamicResources,
      ['lds_config', 'lds_resources_locator', 'cds_config', 'cds_resources_locator', 'ads_config'],
      problems.at('dynamic_resources'),
    );
  if (bootstrap.clusterManager !== undefined)
    reportUnsupported(
      ClusterManagerSchema,
      bootstrap.clusterManager,
      ['load_stats_config'],
      problems.at('cluster_manager'),
    );
  if (bootstrap.admin !== undefined) checkAdmin(bootstrap.admin, problems.at('admin'));
  if (bootstrap.statsFlushInterval !== undefined && bootstrap.statsFlush.case !== undefined)
    problems.at('stats_flush_interval').error('only one of stats_flush_interval or stats_flush_on_admin can be set');
  checkRegexEngine(bootstrap.defaultRegexEngine?.typedConfig, problems.at('default_regex_engine'));
  for (const [index, { name, typedConfig }] of bootstrap.bootstrapExtensions.entries())
    if (typedConfig === undefined || !EXTENSIONS.has(unpackAny(types, typedConfig).typeName))
      problems
        .at('bootstrap_extensions')
        .at(index)
        .unsupported('typed_config', `the bootstrap extension '${name}' is not implemented`);
  return {
    runtime: new RuntimeLayers(bootstrap.layeredRuntime, problems.at('layered_runtime')),
    overload: buildOverloadManager(bootstrap.overloadManager, types, problems.at('overload_manager')),
  };
}

function checkStaticResources({ staticResources }: Bootstrap, problems: Problems): void {
  if (staticResources === undefined) return;
  reportUnsupported(Bootstrap_StaticResourcesSchema, staticResources, ['listeners', 'clusters', 'secrets'], problems);
  const names = new Set<string>();
  for (const [index, { name }] of staticResources.clusters.entries()) {
    if (name !== '' && names.has(name))
      problems.at('clusters').at(index).at('name').error(`cluster manager: duplicate cluster '${name}'`);
    names.add(name);
  }
}

function checkAdmin(admin: Admin, problems: Problems): void {
  // There is no profiler that would write to `profile_path`: /cpuprofiler says so.
  reportUnsupported(AdminSchema, admin, ['address', 'access_log', 'access_log_path', 'profile_path'], problems);
}

function checkRegexEngine(config: Any | undefined, problems: Problems): void {
  if (config !== undefined && typeNameOf(config.typeUrl) !== GOOGLE_RE2)
    problems.unsupported('typed_config', `the regex engine '${typeNameOf(config.typeUrl)}' is not implemented`);
}
