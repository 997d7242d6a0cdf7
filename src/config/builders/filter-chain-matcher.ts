import { unpackAny } from '../../api/any.ts';
import type { TypedExtensionConfig } from '../../api/generated/xds/core/v3/extension_pb.js';
import type { Matcher } from '../../api/generated/xds/type/matcher/v3/matcher_pb.js';
import type { FilterStateInput } from '../../api/generated/envoy/extensions/matching/common_inputs/network/v3/network_inputs_pb.js';
import type { TypeRegistry } from '../../api/type-registry.ts';
import type { MatcherInputModel, MatcherModel } from '../matcher-model.ts';
import type { Problems } from '../problem.ts';
import { buildMatcher } from './matcher.ts';

const INPUTS = 'envoy.extensions.matching.common_inputs.network.v3.';
const KINDS: Readonly<Record<string, string>> = {
  DestinationIPInput: 'destination-ip',
  DestinationPortInput: 'destination-port',
  SourceIPInput: 'source-ip',
  SourcePortInput: 'source-port',
  DirectSourceIPInput: 'direct-source-ip',
  SourceTypeInput: 'source-type',
  ServerNameInput: 'server-name',
  TransportProtocolInput: 'transport-protocol',
  ApplicationProtocolInput: 'application-protocol',
  FilterStateInput: 'filter-state',
};
const CHAIN_NAME = 'google.protobuf.StringValue';

/** A listener's filter_chain_matcher; its actions are names of filter chains. `problems` stands at it. */
export function buildFilterChainMatcher(
  message: Matcher,
  problems: Problems,
  types: TypeRegistry,
): MatcherModel<string> {
  return buildMatcher(message, problems, {
    types,
    buildInput: (input, at) => buildNetworkInput(input, at, types),
    buildAction: ({ name, typedConfig }, at) => {
      const { typeName, message: value } =
        typedConfig === undefined ? { typeName: '', message: undefined } : unpackAny(types, typedConfig);
      if (typeName === CHAIN_NAME && value !== undefined) return (value as unknown as { value: string }).value;
      at.error(`unsupported: the action '${name}' (${typeName}) is not implemented`);
      return undefined;
    },
  });
}

function buildNetworkInput(
  { name, typedConfig }: TypedExtensionConfig,
  problems: Problems,
  types: TypeRegistry,
): MatcherInputModel | undefined {
  const { typeName, message } =
    typedConfig === undefined ? { typeName: '', message: undefined } : unpackAny(types, typedConfig);
  const kind = typeName.startsWith(INPUTS) ? KINDS[typeName.slice(INPUTS.length)] : undefined;
  if (kind === undefined || message === undefined) {
    problems.error(`unsupported: the input '${name}' (${typeName}) is not implemented`);
    return undefined;
  }
  return { kind, path: kind === 'filter-state' ? [(message as FilterStateInput).key] : [] };
}
