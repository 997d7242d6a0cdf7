import type {
  ListenerFilter,
  ListenerFilterChainMatchPredicate,
} from '../../api/generated/envoy/config/listener/v3/listener_components_pb.js';
import type { ListenerFilterModel, ListenerFilterPredicateModel } from '../listener-model.ts';
import type { Problems } from '../problem.ts';
import { typedConfig, type ListenerBuildContext } from './listener-context.ts';
import { reportUnsupportedFields } from './unsupported-fields.ts';
import { typeNameOf } from '../../api/type-name.ts';

const FIELDS = ['name', 'typed_config', 'filter_disabled'];
const PREFIX = 'envoy.extensions.filters.listener.';
/** Connects to hosts from the client's address, which takes socket options that Node.js doesn't have. */
const ORIGINAL_SRC = `${PREFIX}original_src.v3.OriginalSrc`;
const EMPTY = new Uint8Array(0);

/** The filters that flags of the listener stand for, behind those that are configured, as in Envoy. */
export const ORIGINAL_DST_FILTER: ListenerFilterModel = {
  name: 'envoy.filters.listener.original_dst',
  config: {
    name: 'envoy.filters.listener.original_dst',
    typeName: `${PREFIX}original_dst.v3.OriginalDst`,
    value: EMPTY,
  },
  disabled: undefined,
};
export const PROXY_PROTOCOL_FILTER: ListenerFilterModel = {
  name: 'envoy.filters.listener.proxy_protocol',
  config: {
    name: 'envoy.filters.listener.proxy_protocol',
    typeName: `${PREFIX}proxy_protocol.v3.ProxyProtocol`,
    value: EMPTY,
  },
  disabled: undefined,
};

/** config.listener.v3.ListenerFilter; `problems` stands at it. Undefined after an error, and for what is left out. */
export function buildListenerFilter(
  message: ListenerFilter,
  problems: Problems,
  context: ListenerBuildContext,
): ListenerFilterModel | undefined {
  reportUnsupportedFields(context.types, message, FIELDS, problems);
  const { name, configType, filterDisabled } = message;
  if (configType.case === 'configDiscovery') {
    problems.at('config_discovery').error('unsupported: discovery of extension configs is not implemented');
    return undefined;
  }
  const any = configType.value;
  const at = problems.at('typed_config');
  if (any === undefined) {
    at.error(`Didn't find a registered implementation for '${name}' with type URL: ''`);
    return undefined;
  }
  const config = typedConfig(context.types, name, any);
  if (config.typeName === ORIGINAL_SRC) {
    problems.unsupported(
      'typed_config',
      `the listener filter '${name}' is not implemented: hosts see the proxy's address`,
    );
    return undefined;
  }
  if (context.isKnownListenerFilter?.(config.typeName) !== true) {
    at.error(
      config.typeName.startsWith(PREFIX)
        ? `unsupported: the listener filter '${name}' (${config.typeName}) is not implemented`
        : `Didn't find a registered implementation for '${name}' with type URL: '${typeNameOf(any.typeUrl)}'`,
    );
    return undefined;
  }
  const disabled = filterDisabled && buildPredicate(filterDisabled, problems.at('filter_disabled'));
  return { name, config, disabled };
}

function buildPredicate(message: ListenerFilterChainMatchPredicate, problems: Problems): ListenerFilterPredicateModel {
  const { rule } = message;
  switch (rule.case) {
    case 'anyMatch':
      return { kind: 'any' };
    case 'notMatch':
      return { kind: 'not', rule: buildPredicate(rule.value, problems.at('not_match')) };
    case 'orMatch':
    case 'andMatch': {
      const kind = rule.case === 'orMatch' ? 'or' : 'and';
      const at = problems.at(`${kind}_match`).at('rules');
      return { kind, rules: rule.value.rules.map((each, index) => buildPredicate(each, at.at(index))) };
    }
    case 'destinationPortRange':
      return { kind: 'destination-port', start: rule.value.start, end: rule.value.end };
    default:
      problems.error('one of or_match, and_match, not_match, any_match or destination_port_range must be set');
      return { kind: 'any' };
  }
}
