import { readFileSync } from 'node:fs';
import type { Any } from '@bufbuild/protobuf/wkt';
import type { Address, SocketAddress } from '../../api/generated/envoy/config/core/v3/address_pb.js';
import type {
  DataSource,
  HeaderValueOption,
  Metadata as MetadataMessage,
  RuntimeFractionalPercent,
} from '../../api/generated/envoy/config/core/v3/base_pb.js';
import type { SubstitutionFormatString } from '../../api/generated/envoy/config/core/v3/substitution_format_string_pb.js';
import type { StringMatcher } from '../../api/generated/envoy/type/matcher/v3/string_pb.js';
import type { FractionalPercent } from '../../api/generated/envoy/type/v3/percent_pb.js';
import type { Metadata } from '../../filters/stream-info.ts';
import type {
  AddressModel,
  AppendAction,
  FormatModel,
  HeaderMutationModel,
  HeaderValueOptionModel,
  RuntimeFractionModel,
  StringMatcherModel,
  TypedConfigModel,
} from '../common-model.ts';
import type { Problems } from '../problem.ts';
import { compileRe2 } from '../../lib/re2.ts';
import { typeNameOf } from '../../api/type-name.ts';

/**
 * Builders of the small pieces that many resources share. Each takes the message (absent where the field is unset) and
 * the problem collection standing at the message's own field path, and always returns a model: after a problem the
 * model only has to be well-formed, since a resource with errors is never used.
 */

/** An extension's config, undecoded. */
export function buildTypedConfig(name: string, config: Any): TypedConfigModel {
  return { name, typeName: typeNameOf(config.typeUrl), value: config.value };
}

const NO_ADDRESS: AddressModel = { kind: 'socket', host: '', port: 0, ipv4Compat: false };

/** core.v3.Address: a socket address or a pipe; anything else is an error. */
export function buildAddress(message: Address | undefined, problems: Problems): AddressModel {
  const address = message?.address;
  switch (address?.case) {
    case 'socketAddress':
      return buildSocketAddress(address.value, problems.at('socket_address'));
    case 'pipe':
      return { kind: 'pipe', path: address.value.path, mode: address.value.mode };
    case 'envoyInternalAddress':
      problems.at('envoy_internal_address').error('unsupported: internal addresses are not implemented');
      return NO_ADDRESS;
    default:
      problems.error('an address is required');
      return NO_ADDRESS;
  }
}

export function buildSocketAddress(message: SocketAddress, problems: Problems): AddressModel {
  // protocol 1 = UDP
  if (message.protocol !== 0) problems.at('protocol').error('unsupported: UDP is not implemented');
  if (message.resolverName !== '')
    problems.at('resolver_name').error('unsupported: custom resolvers are not implemented');
  let port = 0;
  if (message.portSpecifier.case === 'portValue') port = message.portSpecifier.value;
  else if (message.portSpecifier.case === 'namedPort')
    problems.at('named_port').error('unsupported: named ports need a custom resolver');
  return { kind: 'socket', host: message.address, port, ipv4Compat: message.ipv4Compat };
}

/** Reports `pattern` unless RE2 accepts it. */
export function checkRegex(pattern: string, problems: Problems): void {
  try {
    compileRe2(pattern);
  } catch (error) {
    problems.error(`invalid regex '${pattern}': ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** type.matcher.v3.StringMatcher; a regex is checked here and compiled by the data plane. */
export function buildStringMatcher(message: StringMatcher, problems: Problems): StringMatcherModel {
  const pattern = message.matchPattern;
  switch (pattern.case) {
    case 'exact':
    case 'prefix':
    case 'suffix':
    case 'contains':
      return { kind: pattern.case, value: pattern.value, ignoreCase: message.ignoreCase };
    case 'safeRegex':
      checkRegex(pattern.value.regex, problems.at('safe_regex').at('regex'));
      // Envoy refuses the combination too: ignore_case has no effect on a regex.
      if (message.ignoreCase) problems.at('ignore_case').error('ignore_case has no effect for safe_regex.');
      return { kind: 'regex', value: pattern.value.regex };
    case 'custom':
      problems.at('custom').error(`unsupported: string matcher extension '${pattern.value.name}' is not implemented`);
      break;
    default:
      problems.error('one of exact, prefix, suffix, contains, safe_regex or custom must be set');
  }
  return { kind: 'exact', value: '', ignoreCase: false };
}

/** type.v3.FractionalPercent; by DenominatorType's numbers. */
const DENOMINATORS: readonly number[] = [100, 10_000, 1_000_000];

export function buildFraction(message: FractionalPercent | undefined): { numerator: number; denominator: number } {
  if (message === undefined) return { numerator: 0, denominator: 100 };
  return { numerator: message.numerator, denominator: DENOMINATORS[message.denominator] ?? 100 };
}

/** core.v3.RuntimeFractionalPercent. An absent default value is 0 %, as in Envoy. */
export function buildRuntimeFraction(message: RuntimeFractionalPercent): RuntimeFractionModel {
  return { ...buildFraction(message.defaultValue), runtimeKey: message.runtimeKey };
}

/** By HeaderAppendAction's numbers. */
const APPEND_ACTIONS: readonly AppendAction[] = [
  'append-if-exists-or-add',
  'add-if-absent',
  'overwrite-if-exists-or-add',
  'overwrite-if-exists',
];

/** Envoy lets no header mutation of its own touch the pseudo-headers or `host`. */
export function isModifiableHeader(name: string): boolean {
  return !name.startsWith(':') && name.toLowerCase() !== 'host';
}

/** A list of core.v3.HeaderValueOption; `problems` stands at the list. Values stay format strings. */
export function buildHeaderValueOptions(
  messages: readonly HeaderValueOption[],
  problems: Problems,
): HeaderValueOptionModel[] {
  return messages.map((message, index) => buildHeaderValueOption(message, problems.at(index)));
}

export function buildHeaderValueOption(message: HeaderValueOption, problems: Problems): HeaderValueOptionModel {
  const header = message.header;
  if (header === undefined) problems.at('header').error('value is required');
  const name = header?.key ?? '';
  if (!isModifiableHeader(name))
    problems.at('header').at('key').error(':-prefixed or host headers may not be modified');
  let action = APPEND_ACTIONS[message.appendAction] ?? 'append-if-exists-or-add';
  if (message.append !== undefined) {
    if (message.appendAction !== 0) problems.at('append').error('append and append_action are both set');
    else action = message.append ? 'append-if-exists-or-add' : 'overwrite-if-exists-or-add';
  }
  let value = header?.value ?? '';
  if (header !== undefined && header.rawValue.length > 0) value = Buffer.from(header.rawValue).toString('latin1');
  return { name: name.toLowerCase(), value, appendAction: action, keepEmptyValue: message.keepEmptyValue };
}

/** The add and remove lists of one level; both `problems` stand at their lists. */
export function buildHeaderMutation(
  add: readonly HeaderValueOption[],
  addProblems: Problems,
  remove: readonly string[],
  removeProblems: Problems,
): HeaderMutationModel {
  remove.forEach((name, index) => {
    if (!isModifiableHeader(name)) removeProblems.at(index).error(':-prefixed or host headers may not be removed');
  });
  return { add: buildHeaderValueOptions(add, addProblems), remove: remove.map((name) => name.toLowerCase()) };
}

/** Formatter extensions whose operators are always there. */
const BUILTIN_FORMATTERS: ReadonlySet<string> = new Set([
  'envoy.extensions.formatter.metadata.v3.Metadata',
  'envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery',
]);

/** core.v3.SubstitutionFormatString. A format that comes from a file or the environment is read now. */
export function buildFormat(message: SubstitutionFormatString, problems: Problems): FormatModel {
  const { contentType, omitEmptyValues, format } = message;
  message.formatters.forEach(({ name, typedConfig }, index) => {
    const typeName = typeNameOf(typedConfig?.typeUrl ?? '');
    if (!BUILTIN_FORMATTERS.has(typeName)) problems.unsupported(`formatters[${index}]`, `'${name}' is not implemented`);
  });
  switch (format.case) {
    case 'textFormat':
      return { kind: 'text', format: format.value, contentType, omitEmptyValues };
    case 'textFormatSource': {
      const text = readDataSource(format.value, problems.at('text_format_source')).toString('utf8');
      return { kind: 'text', format: text, contentType, omitEmptyValues };
    }
    case 'jsonFormat':
      return { kind: 'json', format: format.value, contentType, omitEmptyValues };
    default:
      problems.error('one of text_format, json_format or text_format_source must be set');
      return { kind: 'text', format: '', contentType, omitEmptyValues };
  }
}

/** The bytes of a core.v3.DataSource, read now; a file or variable that isn't there is an error. Empty when unset. */
export function readDataSource(message: DataSource | undefined, problems: Problems): Buffer {
  const source = message?.specifier;
  switch (source?.case) {
    case 'inlineString':
      return Buffer.from(source.value, 'utf8');
    case 'inlineBytes':
      return Buffer.from(source.value);
    case 'environmentVariable': {
      const value = process.env[source.value];
      if (value === undefined)
        problems.at('environment_variable').error(`environment variable '${source.value}' does not exist`);
      return Buffer.from(value ?? '', 'utf8');
    }
    case 'filename':
      try {
        return readFileSync(source.value);
      } catch (error) {
        problems
          .at('filename')
          .error(`cannot read '${source.value}': ${(error as NodeJS.ErrnoException).code ?? error}`);
        return Buffer.alloc(0);
      }
    default:
      return Buffer.alloc(0);
  }
}

/** core.v3.Metadata, as JSON; undefined when it is unset or empty. */
export function buildMetadata(message: MetadataMessage | undefined, problems: Problems): Metadata | undefined {
  if (message === undefined) return undefined;
  if (Object.keys(message.typedFilterMetadata).length > 0) problems.unsupported('typed_filter_metadata');
  return Object.keys(message.filterMetadata).length > 0 ? message.filterMetadata : undefined;
}
