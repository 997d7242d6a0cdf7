import {
  HeaderValueOption_HeaderAppendAction as AppendAction,
  type HeaderValueOption,
} from '../api/generated/envoy/config/core/v3/base_pb.js';
import type { FormatContext } from '../telemetry/access-log/access-log.ts';
import { compileHeaderValue } from '../telemetry/access-log/format.ts';
import { ConfigError } from './config-type.ts';
import type { Headers } from './headers.ts';

/** Changes one message's headers. */
export type Mutate = (headers: Headers, context: FormatContext) => void;

/** A core.v3.HeaderValueOption, its value a format string. `path`: its own, for ConfigErrors. */
export function compileHeaderAppend(
  { header, appendAction, append, keepEmptyValue }: HeaderValueOption,
  path: string,
): Mutate {
  const name = (header?.key ?? '').toLowerCase();
  checkHeaderName(name, `${path}.header.key`);
  const raw = header?.rawValue ?? new Uint8Array();
  const format =
    raw.length > 0
      ? { literal: Buffer.from(raw).toString('latin1'), format: () => Buffer.from(raw).toString('latin1') }
      : compileFormat(header?.value ?? '', `${path}.header.value`);
  const action = append === false ? AppendAction.OVERWRITE_IF_EXISTS_OR_ADD : appendAction;
  return (headers, context) => {
    if (action === AppendAction.ADD_IF_ABSENT && headers.has(name)) return;
    if (action === AppendAction.OVERWRITE_IF_EXISTS && !headers.has(name)) return;
    const value = format.literal ?? format.format(context);
    if (value === '' && !keepEmptyValue) return;
    if (action === AppendAction.APPEND_IF_EXISTS_OR_ADD || action === AppendAction.ADD_IF_ABSENT)
      headers.append(name, value);
    else {
      // As in Envoy, an overwritten header moves to the end.
      headers.delete(name);
      headers.append(name, value);
    }
  };
}

/** Throws ConfigError on a name that Envoy lets nobody change. */
export function checkHeaderName(name: string, path: string): void {
  if (name.startsWith(':') || name === 'host')
    throw new ConfigError(':-prefixed or host headers may not be modified', path);
}

/** A header's value as a format string. `path`: of the field, for ConfigErrors. */
export function compileFormat(value: string, path: string): ReturnType<typeof compileHeaderValue> {
  try {
    return compileHeaderValue(value);
  } catch (error) {
    throw new ConfigError(error instanceof Error ? error.message : String(error), path);
  }
}
