import {
  RateLimit_Action_MetaData_Source as MetadataSource,
  type HeaderMatcher,
  type QueryParameterMatcher,
  type RateLimit_Action as Action,
} from '../api/generated/envoy/config/route/v3/route_components_pb.js';
import type { MetadataKey } from '../api/generated/envoy/type/metadata/v3/metadata_pb.js';
import { ConfigError } from './config-type.ts';
import { headerMatchOf, stringMatchOf, type HeaderMatch } from './header-matcher.ts';
import type { QueryParameterMatch } from './query-parameter-matcher.ts';
import type { RateLimitAction } from './rate-limit-policy.ts';

/** How the matchers in actions are read; `path` is theirs, from the rate limit on. */
export interface MatcherReaders {
  headers(messages: readonly HeaderMatcher[], path: string): readonly HeaderMatch[];
  queryParameters(messages: readonly QueryParameterMatcher[], path: string): readonly QueryParameterMatch[];
}

const READERS: MatcherReaders = {
  headers: (messages) => messages.map((message) => headerMatchOf(message)),
  queryParameters: (messages) =>
    messages.map(({ name, queryParameterMatchSpecifier: specifier }) =>
      specifier.case === 'stringMatch'
        ? { name, match: { kind: 'string', matcher: stringMatchOf(specifier.value) } }
        : { name, match: { kind: 'present', present: specifier.value ?? true } },
    ),
};

/** Reads the `actions` of a route.v3.RateLimit. Throws ConfigError on what there is not. */
export function rateLimitActions(actions: readonly Action[], readers = READERS): RateLimitAction[] {
  return actions.map((action, index) => actionOf(action, `actions[${index}]`, readers));
}

function actionOf({ actionSpecifier: action }: Action, path: string, readers: MatcherReaders): RateLimitAction {
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
    case 'genericKey': {
      const { descriptorKey, descriptorValue } = action.value;
      return { kind: 'generic-key', key: descriptorKey || 'generic_key', value: descriptorValue };
    }
    case 'headerValueMatch': {
      const { descriptorKey, descriptorValue, expectMatch, headers } = action.value;
      return {
        kind: 'header-match',
        key: descriptorKey || 'header_match',
        value: descriptorValue,
        expected: expectMatch ?? true,
        headers: readers.headers(headers, `${path}.header_value_match.headers`),
      };
    }
    case 'queryParameterValueMatch': {
      const { descriptorKey, descriptorValue, expectMatch, queryParameters } = action.value;
      return {
        kind: 'query-match',
        key: descriptorKey || 'query_match',
        value: descriptorValue,
        expected: expectMatch ?? true,
        parameters: readers.queryParameters(queryParameters, `${path}.query_parameter_value_match.query_parameters`),
      };
    }
    case 'dynamicMetadata':
      return metadataAction(action.value, 'dynamic', false);
    case 'metadata': {
      const { source, skipIfAbsent } = action.value;
      return metadataAction(action.value, source === MetadataSource.ROUTE_ENTRY ? 'route' : 'dynamic', skipIfAbsent);
    }
    case 'extension':
      throw new ConfigError('unsupported: rate limit descriptor extensions are not implemented', `${path}.extension`);
    case undefined:
      throw new ConfigError('an action specifier is required', path);
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
): RateLimitAction {
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
