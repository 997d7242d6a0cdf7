import type { Bootstrap } from '../api/generated/envoy/config/bootstrap/v3/bootstrap_pb.js';
import type { Problems } from '../config/problem.ts';
import type { LogOptions } from '../telemetry/log.ts';
import { jsonLogPattern } from '../telemetry/log-format.ts';
import type { ServerOptions } from './options.ts';

/** The process log of a thread by the command line alone, before there is a bootstrap. */
export function logOptions(options: ServerOptions): LogOptions {
  return {
    level: options.logLevel,
    componentLevels: options.componentLogLevels,
    format: options.logFormat,
    escapeMessages: options.logFormatEscaped,
    path: options.logPath,
  };
}

/** The same with the bootstrap's application_log_config, which may stand in for --log-format. */
export function logOptionsWith(options: ServerOptions, bootstrap: Bootstrap, problems: Problems): LogOptions {
  const chosen = bootstrap.applicationLogConfig?.logFormat?.logFormat;
  const base = logOptions(options);
  if (chosen?.case === undefined) return base;
  const at = problems.at('application_log_config').at('log_format');
  if (options.logFormat !== '') at.error('cannot be set together with --log-format');
  if (chosen.case === 'textFormat') return { ...base, format: chosen.value };
  const pattern = jsonLogPattern(chosen.value);
  // Neither escapes what JSON needs escaped; %j is the message here.
  for (const flag of ['%v', '%_'])
    if (pattern.includes(flag)) at.at('json_format').error(`${flag} is not available in JSON log formats (use %j)`);
  return { ...base, format: pattern };
}
