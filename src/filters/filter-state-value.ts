import {
  FilterStateValue_SharedWithUpstream,
  type FilterStateValue,
} from '../api/generated/envoy/extensions/filters/common/set_filter_state/v3/value_pb.js';
import type { SubstitutionFormatString } from '../api/generated/envoy/config/core/v3/substitution_format_string_pb.js';
import type { FormatContext, TextFormatter } from '../telemetry/access-log/access-log.ts';
import { compileText } from '../telemetry/access-log/format.ts';
import { compileJson } from '../telemetry/access-log/json-format.ts';
import { ConfigError } from './config-type.ts';

/** Reads an object of filter state from text; undefined: the text is none. */
type Parse = (text: string) => unknown;

const asText: Parse = (text) => text;
const asList: Parse = (text) => text.split(',');
const asBoolean: Parse = (text) => (text === 'true' ? true : text === 'false' ? false : undefined);
const asNumber =
  (max: number): Parse =>
  (text) =>
    /^\d+$/.test(text) && Number(text) <= max ? Number(text) : undefined;

/** The objects that a filter may make, by their keys in Envoy's list of well-known filter state. */
const FACTORIES: Readonly<Record<string, Parse>> = {
  'envoy.string': asText,
  'envoy.hashable_string': asText,
  'envoy.network.application_protocols': asList,
  'envoy.network.upstream_server_name': asText,
  'envoy.network.upstream_subject_alt_names': asList,
  'envoy.tcp_proxy.cluster': asText,
  'envoy.tcp_proxy.disable_tunneling': asBoolean,
  'envoy.tcp_proxy.per_connection_idle_timeout_ms': asNumber(Number.MAX_SAFE_INTEGER),
  'envoy.upstream.dynamic_host': asText,
  'envoy.upstream.dynamic_port': asNumber(65_535),
  'envoy.network.transport_socket.original_dst_address': asText,
  'envoy.filters.listener.original_dst.local_ip': asText,
  'envoy.filters.listener.original_dst.remote_ip': asText,
};

/**
 * Compiles a FilterStateValue: the result formats the value and sets it. Throws ConfigError. `unsupported` hears of
 * fields that are set and change nothing.
 */
export function compileFilterStateValue(
  message: FilterStateValue,
  unsupported: (field: string) => void,
): (context: FormatContext) => void {
  const key = message.key.value ?? '';
  const factoryKey = message.factoryKey === '' ? key : message.factoryKey;
  const parse = Object.hasOwn(FACTORIES, factoryKey) ? FACTORIES[factoryKey] : undefined;
  if (parse === undefined) throw new ConfigError(`'${factoryKey}' does not have an object factory`);
  if (message.sharedWithUpstream !== FilterStateValue_SharedWithUpstream.NONE) unsupported('shared_with_upstream');
  const formatter = compileFormat(message.value.value);
  const { skipIfEmpty } = message;
  return (context) => {
    const text = Buffer.from(formatter.format(context), 'latin1').toString('utf8');
    if (text === '' && skipIfEmpty) return;
    const value = parse(text);
    if (value !== undefined) context.info.filterState.set(key, value);
  };
}

function compileFormat(message: SubstitutionFormatString | undefined): TextFormatter {
  const format = message?.format;
  const options = { omitEmptyValues: message?.omitEmptyValues ?? false };
  try {
    switch (format?.case) {
      case 'textFormat':
        return compileText(format.value, options);
      case 'jsonFormat':
        return compileJson(format.value, options);
      case 'textFormatSource':
        if (format.value.specifier.case === 'inlineString') return compileText(format.value.specifier.value, options);
        throw new ConfigError('unsupported: only inline_string is implemented', 'format_string.text_format_source');
    }
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(error instanceof Error ? error.message : String(error), 'format_string');
  }
  throw new ConfigError('a format is required', 'format_string');
}
