import {
  RateLimit_Action_MetaData_Source as MetadataSource,
  RateLimitSchema,
  type RateLimit,
  type RateLimit_Action as Action,
} from '../../api/generated/envoy/config/route/v3/route_components_pb.js';
import type { MetadataKey } from '../../api/generated/envoy/type/metadata/v3/metadata_pb.js';
import type { Problems } from '../problem.ts';
import type { RateLimitActionModel, RateLimitModel } from '../route-model.ts';
import { reportUnsupported } from '../unsupported.ts';
import { buildHeaderMatchers, buildQueryParameterMatchers } from './header-matcher.ts';

const FIELDS = ['stage', 'disable_key', 'actions'];

/** The `rate_limits` of a route or a virtual host; `problems` stands at the list. */
export function buildRateLimits(messages: readonly RateLimit[], problems: Problems): RateLimitModel[] {
  return messages.map((message, index) => {
    const at = problems.at(index);
    reportUnsupported(RateLimitSchema, message, FIELDS, at);
    return {
      stage: message.stage ?? 0,
      disabled: message.disableKey !== '',
      actions: message.actions.flatMap((action, i) => buildAction(action, at.at('actions').at(i)) ?? []),
    };
  });
}

/** Undefined: it was reported. */
function buildAction({ actionSpecifier: action }: Action, problems: Problems): RateLimitActionModel | undefined {
  switch (action.case) {
    case 'sourceCluster':
      return { kind: 'source-cluster' };
    case 'destinationCluster':
      return { kind: 'destination-cluster' };
    case 'requestHeaders': {
      const { headerName, descriptorKey, skipIfAbsent } = action.value;
      return { kind: 'request-header', name: headerName.toLowerCase(), key: descriptorKey, skipIfAbsent };
    }
    case 'remoteAddress':
      return { kind: 'remote-address' };
    case 'maskedRemoteAddress': {
      const { v4PrefixMaskLen = 32, v6PrefixMaskLen = 128 } = action.value;
      return { kind: 'masked-remote-address', v4Length: v4PrefixMaskLen, v6Length: v6PrefixMaskLen };
    }
    case 'genericKey':
      return {
        kind: 'generic-key',
        key: action.value.descriptorKey || 'generic_key',
        value: action.value.descriptorValue,
      };
    case 'headerValueMatch': {
      const { descriptorKey, descriptorValue, expectMatch, headers } = action.value;
      return {
        kind: 'header-match',
        key: descriptorKey || 'header_match',
        value: descriptorValue,
        expected: expectMatch ?? true,
        headers: buildHeaderMatchers(headers, problems.at('header_value_match').at('headers')),
      };
    }
    case 'queryParameterValueMatch': {
      const { descriptorKey, descriptorValue, expectMatch, queryParameters } = action.value;
      const at = problems.at('query_parameter_value_match').at('query_parameters');
      return {
        kind: 'query-match',
        key: descriptorKey || 'query_match',
        value: descriptorValue,
        expected: expectMatch ?? true,
        parameters: buildQueryParameterMatchers(queryParameters, at),
      };
    }
    case 'dynamicMetadata':
      return metadataAction(action.value, 'dynamic', false);
    case 'metadata': {
      const { source, skipIfAbsent } = action.value;
      return metadataAction(action.value, source === MetadataSource.ROUTE_ENTRY ? 'route' : 'dynamic', skipIfAbsent);
    }
    case 'extension':
      problems.at('extension').error('unsupported: rate limit descriptor extensions are not implemented');
      return undefined;
    case undefined:
      problems.error('an action specifier is required');
      return undefined;
  }
}

interface MetadataAction {
  readonly descriptorKey: string;
  readonly defaultValue: string;
  readonly metadataKey?: MetadataKey | undefined;
}

function metadataAction(
  { descriptorKey, defaultValue, metadataKey }: MetadataAction,
  source: 'dynamic' | 'route',
  skipIfAbsent: boolean,
): RateLimitActionModel {
  return {
    kind: 'metadata',
    key: descriptorKey,
    source,
    filter: metadataKey?.key ?? '',
    path: (metadataKey?.path ?? []).map(({ segment }) => segment.value ?? ''),
    defaultValue,
    skipIfAbsent,
  };
}
