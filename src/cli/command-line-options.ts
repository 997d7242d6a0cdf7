import type { JsonObject } from '@bufbuild/protobuf';
import type { ServerOptions } from './options.ts';
import { DEFAULT_LOG_FORMAT } from '../telemetry/log-format.ts';

const seconds = (value: number): string => `${value}s`;

/** envoy.admin.v3.CommandLineOptions for `/server_info`: proto names, every field, in the proto's order. */
export function commandLineOptions(options: ServerOptions, concurrency: number): JsonObject {
  return {
    base_id: String(options.baseId),
    concurrency,
    config_path: options.configPath,
    config_yaml: options.configYaml,
    allow_unknown_static_fields: options.allowUnknownStaticFields,
    admin_address_path: options.adminAddressPath,
    local_address_ip_version: options.localAddressIpVersion,
    log_level: options.logLevel,
    component_log_level: Object.entries(options.componentLogLevels)
      .map(([component, level]) => `${component}:${level}`)
      .join(','),
    log_format: options.logFormat === '' ? DEFAULT_LOG_FORMAT : options.logFormat,
    log_path: options.logPath,
    service_cluster: options.serviceCluster,
    service_node: options.serviceNode,
    service_zone: options.serviceZone,
    file_flush_interval: seconds(options.fileFlushIntervalMs / 1000),
    drain_time: seconds(options.drainTimeSeconds),
    parent_shutdown_time: seconds(options.parentShutdownTimeSeconds),
    mode: options.mode === 'serve' ? 'Serve' : 'Validate',
    disable_hot_restart: options.disableHotRestart,
    enable_mutex_tracing: false,
    restart_epoch: options.restartEpoch,
    cpuset_threads: false,
    reject_unknown_dynamic_fields: options.rejectUnknownDynamicFields,
    log_format_escaped: options.logFormatEscaped,
    disabled_extensions: [],
    ignore_unknown_dynamic_fields: options.ignoreUnknownDynamicFields,
    use_dynamic_base_id: options.useDynamicBaseId,
    base_id_path: options.baseIdPath,
    drain_strategy: options.drainStrategy === 'gradual' ? 'Gradual' : 'Immediate',
    enable_fine_grain_logging: false,
    socket_path: '@envoy_domain_socket',
    socket_mode: 0,
    enable_core_dump: false,
    stats_tag: [...options.statsTags],
    skip_hot_restart_on_no_parent: false,
    skip_hot_restart_parent_stats: false,
    skip_deprecated_logs: options.skipDeprecatedLogs,
    file_flush_min_size: options.fileFlushMinSizeKb,
    log_stacktrace_single_entry: false,
  };
}
