import type { LogLevel } from '../telemetry/log-level.ts';

/** The command line, parsed: Envoy's flags, with its defaults. Also what a proxy started in code is given. */
export interface ServerOptions {
  readonly mode: 'serve' | 'validate';
  /** '' = none. */
  readonly configPath: string;
  /** YAML, merged over the file; '' = none. */
  readonly configYaml: string;
  /** Worker threads; 0 = the data plane runs on the main thread; undefined = as many as there are cores. */
  readonly concurrency: number | undefined;
  readonly logLevel: LogLevel;
  readonly componentLogLevels: Readonly<Record<string, LogLevel>>;
  /** '' = stderr. */
  readonly logPath: string;
  /** '' = the default format. */
  readonly logFormat: string;
  readonly logFormatEscaped: boolean;
  readonly skipDeprecatedLogs: boolean;
  /** Where to write the admin listener's address once it is bound; '' = nowhere. */
  readonly adminAddressPath: string;
  readonly serviceNode: string;
  readonly serviceCluster: string;
  readonly serviceZone: string;
  readonly drainTimeSeconds: number;
  readonly drainStrategy: 'gradual' | 'immediate';
  readonly parentShutdownTimeSeconds: number;
  readonly baseId: number;
  readonly useDynamicBaseId: boolean;
  /** Where to write the base id; '' = nowhere. */
  readonly baseIdPath: string;
  readonly restartEpoch: number;
  readonly disableHotRestart: boolean;
  /** How often files (access logs) are flushed. */
  readonly fileFlushIntervalMs: number;
  /** Beyond this much a file is flushed at once. */
  readonly fileFlushMinSizeKb: number;
  readonly allowUnknownStaticFields: boolean;
  readonly rejectUnknownDynamicFields: boolean;
  readonly ignoreUnknownDynamicFields: boolean;
  readonly localAddressIpVersion: 'v4' | 'v6';
  /** `name:value` tags for every stat. */
  readonly statsTags: readonly string[];
  /** Ours: what is set and not implemented refuses the config instead of being reported. */
  readonly strict: boolean;
  /** Flags of Envoy's that were given and have nothing to act on here; logged once. */
  readonly withoutEffect: readonly string[];
}

/** What an empty command line means. */
export const DEFAULT_OPTIONS: ServerOptions = {
  mode: 'serve',
  configPath: '',
  configYaml: '',
  concurrency: undefined,
  logLevel: 'info',
  componentLogLevels: {},
  logPath: '',
  logFormat: '',
  logFormatEscaped: false,
  skipDeprecatedLogs: false,
  adminAddressPath: '',
  serviceNode: '',
  serviceCluster: '',
  serviceZone: '',
  drainTimeSeconds: 600,
  drainStrategy: 'gradual',
  parentShutdownTimeSeconds: 900,
  baseId: 0,
  useDynamicBaseId: false,
  baseIdPath: '',
  restartEpoch: 0,
  disableHotRestart: false,
  fileFlushIntervalMs: 10_000,
  fileFlushMinSizeKb: 64,
  allowUnknownStaticFields: false,
  rejectUnknownDynamicFields: false,
  ignoreUnknownDynamicFields: false,
  localAddressIpVersion: 'v4',
  statsTags: [],
  strict: false,
  withoutEffect: [],
};
