import type { Any } from '@bufbuild/protobuf/wkt';
import { typeNameOf } from '../api/any.ts';
import type { Admin, Bootstrap } from '../api/generated/envoy/config/bootstrap/v3/bootstrap_pb.js';
import {
  AdminSchema,
  Bootstrap_StaticResourcesSchema,
  BootstrapSchema,
} from '../api/generated/envoy/config/bootstrap/v3/bootstrap_pb.js';
import type { Problems } from './problem.ts';
import { RuntimeLayers } from './runtime-layers.ts';
import { reportUnsupported } from './unsupported.ts';

/** The bootstrap's own fields that something reads. Resources are their builders' concern. */
const SUPPORTED = [
  'node',
  'static_resources',
  'admin',
  'application_log_config',
  'default_regex_engine',
  'layered_runtime',
  'stats_config',
  'stats_flush_interval',
  'stats_flush_on_admin',
  // Hints for Envoy's own machinery that mean nothing here, and change nothing that can be seen.
  'memory_allocator_manager',
  'perf_tracing_file_path',
];
const GOOGLE_RE2 = 'envoy.extensions.regex_engines.v3.GoogleRE2';

/**
 * Finds what Envoy refuses in a bootstrap beyond the rules of its messages, and what of it is not implemented. Builds
 * the runtime layers on the way.
 */
export function checkBootstrap(bootstrap: Bootstrap, problems: Problems): RuntimeLayers {
  reportUnsupported(BootstrapSchema, bootstrap, SUPPORTED, problems);
  checkStaticResources(bootstrap, problems.at('static_resources'));
  if (bootstrap.admin !== undefined) checkAdmin(bootstrap.admin, problems.at('admin'));
  if (bootstrap.statsFlushInterval !== undefined && bootstrap.statsFlush.case !== undefined)
    problems.at('stats_flush_interval').error('only one of stats_flush_interval or stats_flush_on_admin can be set');
  checkRegexEngine(bootstrap.defaultRegexEngine?.typedConfig, problems.at('default_regex_engine'));
  return new RuntimeLayers(bootstrap.layeredRuntime, problems.at('layered_runtime'));
}

function checkStaticResources({ staticResources }: Bootstrap, problems: Problems): void {
  if (staticResources === undefined) return;
  reportUnsupported(Bootstrap_StaticResourcesSchema, staticResources, ['listeners', 'clusters'], problems);
  const names = new Set<string>();
  for (const [index, { name }] of staticResources.clusters.entries()) {
    if (name !== '' && names.has(name))
      problems.at('clusters').at(index).at('name').error(`cluster manager: duplicate cluster '${name}'`);
    names.add(name);
  }
}

function checkAdmin(admin: Admin, problems: Problems): void {
  reportUnsupported(AdminSchema, admin, ['address', 'access_log', 'access_log_path'], problems);
}

function checkRegexEngine(config: Any | undefined, problems: Problems): void {
  if (config !== undefined && typeNameOf(config.typeUrl) !== GOOGLE_RE2)
    problems.unsupported('typed_config', `the regex engine '${typeNameOf(config.typeUrl)}' is not implemented`);
}
