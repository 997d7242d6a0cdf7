import type { RouteAction_HashPolicy } from '../../api/generated/envoy/config/route/v3/route_components_pb.js';
import type { HashPolicyModel } from '../route-model.ts';
import { wholeMs } from './route-retry-policy.ts';

/** A list of RouteAction.HashPolicy. */
export function buildHashPolicies(messages: readonly RouteAction_HashPolicy[]): HashPolicyModel[] {
  return messages.flatMap(({ policySpecifier: specifier, terminal }): HashPolicyModel[] => {
    switch (specifier.case) {
      case 'header': {
        const { headerName, regexRewrite } = specifier.value;
        const rewrite = regexRewrite && {
          regex: regexRewrite.pattern?.regex ?? '',
          substitution: regexRewrite.substitution,
        };
        return [{ kind: 'header', terminal, name: headerName.toLowerCase(), rewrite }];
      }
      case 'cookie': {
        const { name, ttl, path, attributes } = specifier.value;
        return [
          {
            kind: 'cookie',
            terminal,
            name,
            ttlMs: wholeMs(ttl),
            path,
            attributes: attributes.map((attribute) => ({ name: attribute.name, value: attribute.value })),
          },
        ];
      }
      case 'connectionProperties':
        return specifier.value.sourceIp ? [{ kind: 'source-ip', terminal }] : [];
      case 'queryParameter':
        return [{ kind: 'query-parameter', terminal, name: specifier.value.name }];
      case 'filterState':
        return [{ kind: 'filter-state', terminal, key: specifier.value.key }];
      case undefined:
        return [];
    }
  });
}
