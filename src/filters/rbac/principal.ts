import type { Principal, Principal_Authenticated } from '../../api/generated/envoy/config/rbac/v3/rbac_pb.js';
import type { FilterStateMatcher } from '../../api/generated/envoy/type/matcher/v3/filter_state_pb.js';
import { ConfigError } from '../config-type.ts';
import { allOf, anyOf, headerRule, ipRule, metadataRule, not, pathRule, textTest, type RbacRule } from './rbac-rule.ts';

/** Compiles a config.rbac.v3.Principal: who asks. Throws ConfigError, also on what we lack: it guards something. */
export function compilePrincipal({ identifier }: Principal): RbacRule {
  switch (identifier.case) {
    case 'andIds':
      return allOf(identifier.value.ids.map(compilePrincipal));
    case 'orIds':
      return anyOf(identifier.value.ids.map(compilePrincipal));
    case 'notId':
      return not(compilePrincipal(identifier.value));
    case 'any':
      return () => true;
    case 'authenticated':
      return authenticatedRule(identifier.value);
    case 'sourceIp':
      return ipRule(identifier.value, ({ connection }) => connection.remoteIp);
    case 'directRemoteIp':
      return ipRule(identifier.value, ({ connection }) => connection.directRemoteIp);
    case 'remoteIp':
      return ipRule(identifier.value, ({ downstreamRemoteIp }) => downstreamRemoteIp);
    case 'header':
      return headerRule(identifier.value);
    case 'urlPath':
      return pathRule(identifier.value);
    case 'metadata':
      return metadataRule(identifier.value);
    case 'filterState':
      return filterStateRule(identifier.value);
    case undefined:
      throw new ConfigError('a principal needs an identifier');
  }
}

/** Of the peer's certificate the URI SANs count, then the DNS SANs, then the subject, as in Envoy. */
function authenticatedRule({ principalName }: Principal_Authenticated): RbacRule {
  if (principalName === undefined) return ({ connection }) => connection.tls !== undefined;
  const test = textTest(principalName);
  return ({ connection }) => {
    const { tls } = connection;
    if (tls === undefined) return false;
    return tls.peerUriSans.some(test) || tls.peerDnsSans.some(test) || test(tls.peerSubject);
  };
}

function filterStateRule({ key, matcher }: FilterStateMatcher): RbacRule {
  if (matcher.case !== 'stringMatch')
    throw new ConfigError('unsupported: only string_match of filter state is implemented', 'filter_state');
  const test = textTest(matcher.value);
  return ({ filterState }) => {
    const value = filterState.get(key);
    if (value === undefined || value === null) return false;
    return test(typeof value === 'string' ? value : JSON.stringify(value));
  };
}
