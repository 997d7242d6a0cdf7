import { DEFAULT_LOG_FORMAT } from '../telemetry/log-format.ts';
import type { LogLevel } from '../telemetry/log-level.ts';
import { LOG_COMPONENTS, LOG_LEVELS, parseLogLevel } from '../telemetry/log-level.ts';
import { suggestion } from '../lib/nearest.ts';
import type { ServerOptions } from './options.ts';

/** The options while they are being collected. */
export type OptionsInProgress = { -readonly [Name in keyof ServerOptions]: ServerOptions[Name] };

/** One flag of the command line. */
export interface Flag {
  /** Without the dashes. */
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  /** What its value is called in the usage text; absent: the flag takes none. */
  readonly value?: string;
  readonly help: string;
  readonly repeatable?: boolean;
  /** Stores the value ('' for a flag without one); what it returns is what is wrong with it. */
  apply(options: OptionsInProgress, value: string): string | undefined;
}

type NamesOf<T> = { [Name in keyof ServerOptions]: ServerOptions[Name] extends T ? Name : never }[keyof ServerOptions];

function text(name: string, option: NamesOf<string> & keyof OptionsInProgress, help: string, short?: string): Flag {
  return {
    name,
    value: 'text',
    help,
    ...(short !== undefined && { short }),
    apply: (options, value) => {
      (options[option] as string) = value;
      return undefined;
    },
  };
}

function toggle(name: string, option: NamesOf<boolean>, help: string): Flag {
  return {
    name,
    help,
    apply: (options) => {
      options[option] = true;
      return undefined;
    },
  };
}

const MAX_UINT32 = 0xffff_ffff;

function number(name: string, option: NamesOf<number> | 'concurrency', help: string): Flag {
  return {
    name,
    value: 'number',
    help,
    apply: (options, value) => {
      if (!/^\d+$/.test(value) || Number(value) > MAX_UINT32)
        return `takes a whole number from 0 to ${MAX_UINT32}, and '${value}' is none`;
      options[option] = Number(value);
      return undefined;
    },
  };
}

function choice<Name extends 'mode' | 'drainStrategy' | 'localAddressIpVersion'>(
  name: string,
  option: Name,
  choices: readonly ServerOptions[Name][],
  help: string,
): Flag {
  return {
    name,
    value: choices.join('|'),
    help,
    apply: (options, value) => {
      const chosen = choices.find((candidate) => candidate === value);
      if (chosen === undefined)
        return `is one of ${choices.join(', ')}, and not '${value}'${suggestion(value, choices)}`;
      options[option] = chosen as OptionsInProgress[Name];
      return undefined;
    },
  };
}

/** A flag of Envoy's that has nothing to act on here. */
function inert(name: string, value: string | undefined, help: string): Flag {
  return {
    name,
    ...(value !== undefined && { value }),
    help: `${help} (accepted, no effect)`,
    apply: (options) => {
      options.withoutEffect = [...options.withoutEffect, `--${name}`];
      return undefined;
    },
  };
}

const logLevel: Flag = {
  name: 'log-level',
  short: 'l',
  value: 'level',
  help: `one of ${LOG_LEVELS.join(', ')}; default info`,
  apply: (options, value) => {
    const level = parseLogLevel(value);
    if (level === undefined)
      return `is one of ${LOG_LEVELS.join(', ')}, and not '${value}'${suggestion(value, LOG_LEVELS)}`;
    options.logLevel = level;
    return undefined;
  },
};

const componentLogLevel: Flag = {
  name: 'component-log-level',
  value: 'name:level,...',
  help: 'levels of single components, such as upstream:debug,config:trace',
  apply: (options, value) => {
    const levels: Record<string, LogLevel> = {};
    for (const item of value.split(',').filter((part) => part !== '')) {
      const [component, name, ...more] = item.split(':');
      const level = parseLogLevel(name ?? '');
      if (name === undefined || more.length > 0) return `takes name:level, and '${item}' is not that`;
      if (level === undefined) return `has an unknown level '${name}'${suggestion(name, LOG_LEVELS)}`;
      if (!LOG_COMPONENTS.includes(component!))
        return `has an unknown component '${component}'${suggestion(component!, LOG_COMPONENTS)}`;
      levels[component!] = level;
    }
    options.componentLogLevels = levels;
    return undefined;
  },
};

const statsTag: Flag = {
  name: 'stats-tag',
  value: 'name:value',
  help: 'a tag for every stat; may be repeated',
  repeatable: true,
  apply: (options, value) => {
    const name = /^([A-Za-z0-9]+):[^.]+$/.exec(value)?.[1];
    if (name === undefined) return `takes name:value, with no '.' in the value, and '${value}' is not that`;
    if (options.statsTags.some((tag) => tag.startsWith(`${name}:`))) return `has the tag '${name}' twice`;
    options.statsTags = [...options.statsTags, value];
    return undefined;
  },
};

/** Every flag that the proxy takes, in the order of the usage text. */
export const FLAGS: readonly Flag[] = [
  text('config-path', 'configPath', 'the bootstrap: .yaml, .yml, .json, .pb or .pb_text', 'c'),
  text('config-yaml', 'configYaml', 'YAML merged over the bootstrap file'),
  choice('mode', 'mode', ['serve', 'validate'], 'serve (default), or check the configuration and exit'),
  number('concurrency', 'concurrency', 'worker threads; 0 = on the main thread; default: one a core'),
  toggle('strict', 'strict', 'refuse a configuration that sets what is not implemented'),
  logLevel,
  componentLogLevel,
  text('log-path', 'logPath', 'append the log to this file; default: stderr'),
  text('log-format', 'logFormat', `the format of log lines, in spdlog's syntax; default ${DEFAULT_LOG_FORMAT}`),
  toggle('log-format-escaped', 'logFormatEscaped', 'escape quotes and line ends in log messages'),
  toggle('skip-deprecated-logs', 'skipDeprecatedLogs', 'do not warn of deprecated fields'),
  text('admin-address-path', 'adminAddressPath', "write the admin listener's address to this file"),
  text('service-node', 'serviceNode', 'the id of the node'),
  text('service-cluster', 'serviceCluster', 'the cluster of the node'),
  text('service-zone', 'serviceZone', 'the zone of the node'),
  number('drain-time-s', 'drainTimeSeconds', 'how long listeners drain; default 600'),
  choice('drain-strategy', 'drainStrategy', ['gradual', 'immediate'], 'default gradual'),
  number('parent-shutdown-time-s', 'parentShutdownTimeSeconds', 'default 900'),
  toggle('allow-unknown-static-fields', 'allowUnknownStaticFields', 'report unknown fields of the bootstrap only'),
  toggle('allow-unknown-fields', 'allowUnknownStaticFields', 'the former name of --allow-unknown-static-fields'),
  toggle('reject-unknown-dynamic-fields', 'rejectUnknownDynamicFields', 'refuse unknown fields in xDS resources'),
  toggle('ignore-unknown-dynamic-fields', 'ignoreUnknownDynamicFields', 'ignore unknown fields in xDS resources'),
  choice('local-address-ip-version', 'localAddressIpVersion', ['v4', 'v6'], 'default v4'),
  number('file-flush-interval-msec', 'fileFlushIntervalMs', 'how often access logs are flushed; default 10000'),
  number('file-flush-min-size-kb', 'fileFlushMinSizeKb', 'how much an access log gathers at most; default 64'),
  statsTag,
  number('base-id', 'baseId', 'default 0'),
  toggle('use-dynamic-base-id', 'useDynamicBaseId', 'choose a base id'),
  text('base-id-path', 'baseIdPath', 'write the base id to this file'),
  number('restart-epoch', 'restartEpoch', 'default 0'),
  toggle('disable-hot-restart', 'disableHotRestart', 'there is none to disable'),
  inert('skip-hot-restart-on-no-parent', undefined, 'hot restart'),
  inert('skip-hot-restart-parent-stats', undefined, 'hot restart'),
  inert('socket-path', 'text', 'hot restart'),
  inert('socket-mode', 'text', 'hot restart'),
  inert('disable-extensions', 'names', 'extensions to leave out'),
  inert('cpuset-threads', undefined, 'the default of --concurrency minds the cpuset'),
  inert('enable-core-dump', undefined, 'core dumps'),
  inert('enable-mutex-tracing', undefined, 'mutex tracing'),
  inert('enable-fine-grain-logging', undefined, 'log levels by file'),
  inert('log-stacktrace-single-entry', undefined, 'stack traces in the log'),
];
