import type { ProxyProtocolConfig } from '../../api/generated/envoy/config/core/v3/proxy_protocol_pb.js';
import type { TypeRegistry } from '../../api/type-registry.ts';
import type { Problems } from '../problem.ts';
import type { UpstreamProxyProtocolModel } from '../transport-socket-model.ts';
import { reportUnsupportedFields } from './unsupported-fields.ts';

/** core.v3.ProxyProtocolConfig of an upstream; `problems` stands at it. */
export function buildUpstreamProxyProtocol(
  message: ProxyProtocolConfig | undefined,
  types: TypeRegistry,
  problems: Problems,
): Omit<UpstreamProxyProtocolModel, 'kind' | 'inner'> {
  if (message !== undefined)
    reportUnsupportedFields(types, message, ['version', 'pass_through_tlvs', 'added_tlvs'], problems);
  const pass = message?.passThroughTlvs;
  const added = problems.at('added_tlvs');
  return {
    version: message?.version === 1 ? 'v2' : 'v1',
    // match_type 0 = INCLUDE_ALL
    passThroughTlvs: pass === undefined ? [] : pass.matchType === 0 ? 'all' : pass.tlvType,
    addedTlvs: (message?.addedTlvs ?? []).map(({ type, value }, index) => {
      if (value.length === 0)
        added.at(index).error("Invalid TLV configuration: one of 'value' or 'format_string' must be set.");
      return { type, value };
    }),
  };
}
